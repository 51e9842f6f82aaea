import type { StepResults } from "../native/contract.js";

/** What training took, as the core counted it; a run that goes on from a checkpoint goes on counting. */
export interface Totals {
  /** Of training and of the evaluations in between. */
  readonly seconds: number;
  /** Tokens of the batches, special tokens included. */
  readonly tokens: number;
  /** Of the operations that ran: a cached prefix counts once, when it was computed. */
  readonly flops: number;
  readonly cache: CacheUse;
}

/** Use of the prefix cache by training steps. All zero when nothing was cached. */
export interface CacheUse {
  /** Rows whose prefix was there. */
  readonly hits: number;
  /** Rows whose prefix had to be computed. */
  readonly misses: number;
  /** Largest size of the cache, in memory and in its file. */
  readonly bytes: number;
}

export const NO_TOTALS: Totals = {
  seconds: 0,
  tokens: 0,
  flops: 0,
  cache: { hits: 0, misses: 0, bytes: 0 },
};

type Counted = Pick<StepResults, "seconds" | "tokens" | "flops" | "cacheHits" | "cacheMisses" | "cacheBytes">;

/** `totals` and one more chunk. */
export function addChunk(totals: Totals, chunk: Counted): Totals {
  return {
    seconds: totals.seconds + chunk.seconds,
    tokens: totals.tokens + chunk.tokens,
    flops: totals.flops + chunk.flops,
    cache: addCache(totals.cache, {
      hits: chunk.cacheHits,
      misses: chunk.cacheMisses,
      bytes: chunk.cacheBytes,
    }),
  };
}

export const addCache = (a: CacheUse, b: CacheUse): CacheUse => ({
  hits: a.hits + b.hits,
  misses: a.misses + b.misses,
  bytes: Math.max(a.bytes, b.bytes),
});
