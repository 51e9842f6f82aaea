/**
 * Turns: the order in which a study that was never interrupted would have run its trials. A trial that was killed and the
 * ones that repeat it share one turn. Random numbers and the history a sampler sees go by turns, not by Optuna's numbers
 * (which count the killed ones), so a resumed study proposes what the uninterrupted one would have.
 *
 * Of several trials that run together, the next proposal must know all results or none, wherever a kill falls: they are
 * asked for in turn and end in one step (`Study.finish`). Another number of lanes makes another study after the queue.
 */
import type { TrialRecord } from "./types.js";

/** System attributes of a repeated trial, named as Optuna's RetryHeartbeatStaleTrialCallback names them. */
export interface RetryAttrs {
  /** Number of the trial that was planned first. */
  readonly failed_trial: number;
  /** Numbers of those that were lost with their process, oldest first; not of those given back. */
  readonly retry_history: readonly number[];
}

export function retryOf(trial: TrialRecord): RetryAttrs | null {
  const { failed_trial, retry_history } = trial.systemAttrs;
  if (typeof failed_trial !== "number") return null;
  return { failed_trial, retry_history: Array.isArray(retry_history) ? retry_history : [] };
}

/** The turn of a trial that is created next. */
export const nextTurn = (trials: readonly TrialRecord[]) => trials.filter((t) => retryOf(t) === null).length;

/** Turn of each trial, by number. */
export function turnsOf(trials: readonly TrialRecord[]): Map<number, number> {
  const turns = new Map<number, number>();
  let next = 0;
  for (const trial of [...trials].sort((a, b) => a.number - b.number)) {
    const retry = retryOf(trial);
    const turn = retry && turns.get(retry.failed_trial);
    turns.set(trial.number, turn ?? next);
    if (!retry) next += 1;
  }
  return turns;
}

/** By turn; of the same turn, the later attempt last. */
export function inTurn(trials: readonly TrialRecord[]): TrialRecord[] {
  const turns = turnsOf(trials);
  return [...trials].sort((a, b) => turns.get(a.number)! - turns.get(b.number)! || a.number - b.number);
}
