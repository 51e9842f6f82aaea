import type { Arm, TrialState } from "../study/types.js";

/**
 * What the analysis knows of one trial: a plain record, made by the caller from a stored trial.
 * `rates[g]` is the peak learning rate of group g, exactly 0 when the group was frozen.
 */
export interface LayerTrial {
  readonly number: number;
  readonly arm: Arm;
  readonly state: TrialState;
  /** Objective on validation; null when the trial has none. */
  readonly value: number | null;
  readonly rates: Readonly<Record<string, number>>;
  /**
   * The trial's global learning rate, where the space has one (rate of g = global × 10^offset of g).
   * @default the mean log rate of the other trained groups stands in for it
   */
  readonly globalRate?: number;
  /** Decides between trials of equal value and cost. */
  readonly validationLoss?: number | null;
  readonly cost: TrialCost;
}

export interface TrialCost {
  /** Wall seconds of training and evaluation. */
  readonly seconds: number;
  /** Floating-point operations of training, by the plan's formula. */
  readonly flops: number;
  /** Parameters that received updates. */
  readonly trainedParameters: number;
}

/** One seed of a retrained configuration, scored once on test. `correct[i]`: was test row i right. */
export interface SeedResult {
  readonly seed: number;
  readonly validation: number;
  readonly test: number;
  readonly correct: readonly boolean[];
  readonly cost: TrialCost;
}

/** A retrained configuration: its name ("per-layer", "uniform"), its rates and its seeds. */
export interface ArmResult {
  readonly name: string;
  readonly rates: Readonly<Record<string, number>>;
  /** Trials its search spent, and the validation score of its best. */
  readonly trials: number;
  readonly bestValidation: number;
  readonly seeds: readonly SeedResult[];
  /** Seeds under which training diverged: nothing of them is in `seeds`. @default none */
  readonly diverged?: readonly number[];
}
