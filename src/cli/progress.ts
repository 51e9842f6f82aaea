import type { CacheUse } from "../index.js";

/** "███████░░░░░" of `width` cells. */
export function bar(done: number, total: number, width = 24): string {
  const filled = total > 0 ? Math.min(width, Math.round((done / total) * width)) : 0;
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** 5 s, 1 min 40 s, 2 h 3 min. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** What was saved by reading the frozen prefix back; none where nothing was frozen from the bottom, or nothing was cached. */
export function cacheLines({ hits, misses, bytes }: CacheUse): string[] {
  if (hits + misses === 0) return [];
  const size = (bytes / 2 ** 20).toFixed(1);
  return [`frozen prefix: read back for ${hits} of ${hits + misses} texts, ${size} MiB of cache`];
}
