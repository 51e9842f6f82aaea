/**
 * Stops trials that will not be good. Implementations: `pruners/`.
 */

import type { Direction, TrialRecord } from "./types.js";

/** What a pruner sees of the running trial. */
export interface RunningView {
  readonly number: number;
  /** Reported so far, step → value. NaN is kept. */
  readonly intermediateValues: ReadonlyMap<number, number>;
}

/**
 * Life: `prune` is asked from inside the objective, any number of times, usually after each `report`; never for a trial of
 * the random arm. Pure: the same trial and history give the same answer. `history` holds every other record; only
 * COMPLETE ones are evidence. NaN means "reported, and not a number".
 */
export interface Pruner {
  readonly name: string;
  prune(trial: RunningView, history: readonly TrialRecord[], direction: Direction): boolean;
}

/** The largest step reported, or null. */
export function lastStep(values: ReadonlyMap<number, number>): number | null {
  let last: number | null = null;
  for (const step of values.keys()) if (last === null || step > last) last = step;
  return last;
}
