import { ConfigError, type Issue } from "../../errors.js";
import { lastStep, type Pruner, type RunningView } from "../pruner.js";
import type { Direction, TrialRecord } from "../types.js";

export interface MedianPrunerOptions {
  /** No pruning until this many trials are COMPLETE. @default 5 */
  readonly nStartupTrials?: number;
  /** No pruning at steps below this. @default 0 */
  readonly nWarmupSteps?: number;
  /** Steps between checks, counted from `nWarmupSteps`; a check without a report waits for the next one. @default 1 */
  readonly intervalSteps?: number;
  /** Reports at the same step that the median needs. @default 1 */
  readonly nMinTrials?: number;
}

/**
 * Prunes a trial whose best value so far is worse than the median that COMPLETE trials reported at the same step: the
 * rule of Optuna's MedianPruner. NaN reports of others are left out of the median; a trial that has only reported NaN is
 * pruned. Infinite reports are ranked like others; of some, Optuna makes a median that is NaN and prunes nothing.
 */
export class MedianPruner implements Pruner {
  readonly name = "median";
  readonly #options: Required<MedianPrunerOptions>;

  /** @throws ConfigError naming the option. */
  constructor(options: MedianPrunerOptions = {}) {
    this.#options = { nStartupTrials: 5, nWarmupSteps: 0, intervalSteps: 1, nMinTrials: 1, ...options };
    const least = { nStartupTrials: 0, nWarmupSteps: 0, intervalSteps: 1, nMinTrials: 1 };
    const issues: Issue[] = Object.entries(least).flatMap(([path, low]) => {
      const value = this.#options[path as keyof MedianPrunerOptions];
      if (Number.isSafeInteger(value) && value >= low) return [];
      return [{ path, expected: `an integer ≥ ${low}`, received: String(value) }];
    });
    if (issues.length > 0) throw new ConfigError("ERR_PRUNER", "The median pruner was given", issues);
  }

  prune(trial: RunningView, history: readonly TrialRecord[], direction: Direction): boolean {
    const { nStartupTrials, nWarmupSteps, nMinTrials } = this.#options;
    const complete = history.filter((record) => record.state === "COMPLETE");
    if (complete.length === 0 || complete.length < nStartupTrials) return false;

    const step = lastStep(trial.intermediateValues);
    if (step === null || step < nWarmupSteps || !this.#checkIsDue(step, trial)) return false;

    const sign = direction === "maximize" ? -1 : 1;
    const own = finiteOrInfinite(trial.intermediateValues.values()).map((value) => sign * value);
    if (own.length === 0) return true;

    const reported = complete.flatMap((record) => record.intermediateValues.get(step) ?? []);
    if (reported.length < nMinTrials) return false;
    const others = finiteOrInfinite(reported).map((value) => sign * value);
    if (others.length === 0) return false;
    return Math.min(...own) > median(others);
  }

  /** Whether `step` is the trial's first report since the last multiple of the interval. */
  #checkIsDue(step: number, trial: RunningView): boolean {
    const { nWarmupSteps, intervalSteps } = this.#options;
    const due = Math.floor((step - nWarmupSteps) / intervalSteps) * intervalSteps + nWarmupSteps;
    let before = -1;
    for (const other of trial.intermediateValues.keys()) if (other !== step && other > before) before = other;
    return before < due;
  }
}

const finiteOrInfinite = (values: Iterable<number>) => [...values].filter((value) => !Number.isNaN(value));

/** The mean of the two middle values when there are two. @param values at least one, no NaN. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle]!;
  if (sorted.length % 2 === 1) return high;
  return (sorted[middle - 1]! + high) / 2;
}
