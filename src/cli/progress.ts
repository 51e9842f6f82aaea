import type { CacheUse } from "../index.js";

/** "███████░░░░░" of `width` cells. */
export function bar(done: number, total: number, width = 24): string {
  const filled = total > 0 ? Math.min(width, Math.round((done / total) * width)) : 0;
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** What was saved by reading the frozen prefix back; none where nothing was frozen from the bottom, or nothing was cached. */
export function cacheLines({ hits, misses, bytes }: CacheUse): string[] {
  if (hits + misses === 0) return [];
  const size = (bytes / 2 ** 20).toFixed(1);
  return [`frozen prefix: read back for ${hits} of ${hits + misses} texts, ${size} MiB of cache`];
}
