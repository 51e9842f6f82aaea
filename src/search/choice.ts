/** What an arm came to: what its trials left, how many it spent and the one it chose. */
import type { SearchConfig } from "../config/schema.js";
import { TrainingError } from "../errors.js";
import type { Study } from "../study/study.js";
import type { TrialRecord } from "../study/types.js";
import type { LayerRates } from "../train/layer-rates.js";

/** Attributes stored with a trial, beside the value: what the analysis reads back. */
export interface TrialAttrs {
  readonly rates: LayerRates;
  readonly validation_loss: number | null;
  /** Null when the trial was scored at its end alone, or on other rows before. */
  readonly best_epoch: number | null;
  readonly seconds: number;
  readonly flops: number;
  readonly trained_parameters: number;
}

export interface Best {
  readonly number: number;
  readonly value: number;
  readonly rates: LayerRates;
}

export interface Choice {
  /** Finished ones: complete, pruned, failed. */
  readonly trials: number;
  /** Null when none completed. */
  readonly best: Best | null;
}

/** @param number of the trial that was chosen before, null for none; left out: the best is chosen now. */
export async function choiceOf(study: Study, number?: number | null): Promise<Choice> {
  const finished = (await study.planned()).filter(isFinished);
  const best =
    number === undefined ? bestTrial(finished) : (finished.find((t) => t.number === number) ?? null);
  const rates = best?.userAttrs.rates as LayerRates | undefined;
  return {
    trials: finished.length,
    best: best && rates ? { number: best.number, value: best.value!, rates } : null,
  };
}

export const isFinished = (t: TrialRecord) =>
  t.state === "COMPLETE" || t.state === "PRUNED" || t.state === "FAIL";

const attr = (trial: TrialRecord, key: keyof TrialAttrs) =>
  (trial.userAttrs[key] as number | null | undefined) ?? Number.POSITIVE_INFINITY;

/** Infinite where another program ran the trial. */
export const trainingFlops = (trial: TrialRecord) => attr(trial, "flops");

/**
 * Highest accuracy; ties by fewer FLOPs (the same accuracy for less is better), then lower validation loss, then the
 * earlier. Of those that ran here: another program's have no rates, and its objective may be another one.
 */
export function bestTrial(trials: readonly TrialRecord[]): TrialRecord | null {
  const complete = trials.filter((t) => t.state === "COMPLETE" && t.value !== null && t.userAttrs.rates);
  complete.sort(
    (a, b) =>
      b.value! - a.value! ||
      trainingFlops(a) - trainingFlops(b) ||
      attr(a, "validation_loss") - attr(b, "validation_loss") ||
      a.number - b.number,
  );
  return complete[0] ?? null;
}

export function noTrial({ trials }: Choice, { studyName, timeout }: SearchConfig): TrainingError {
  return new TrainingError("ERR_NO_TRIAL", "no trial completed", [
    {
      path: studyName,
      expected: "at least one trial with a finite loss",
      received: trials === 0 ? "no finished trial" : `none of ${trials}`,
      hint: trials === 0 && timeout !== undefined ? "raise timeout" : "lower learning_rate_range",
    },
  ]);
}

export function allDiverged(arm: string, seeds: readonly number[]): TrainingError {
  return new TrainingError("ERR_NAN_LOSS", "the winner's loss was not finite under any seed", [
    {
      path: `${arm}, seed ${seeds.join(", ")}`,
      expected: "a finite loss",
      received: "NaN or infinity in every retraining",
      hint: "lower learning_rate_range and search again",
    },
  ]);
}
