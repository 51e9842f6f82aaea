/**
 * The vocabulary of a study, with Optuna's names. A study is a search; a trial is one execution of its objective.
 * Everything handed out is frozen; a running trial is the only mutable thing and lives in `trial.ts`.
 */

export type TrialState = "RUNNING" | "COMPLETE" | "PRUNED" | "FAIL" | "WAITING";
export type Direction = "minimize" | "maximize";

export type ParamValue = number | string | boolean | null;

export interface FloatDistribution {
  readonly kind: "float";
  readonly low: number;
  readonly high: number;
  readonly log?: boolean;
  readonly step?: number;
}
export interface IntDistribution {
  readonly kind: "int";
  readonly low: number;
  readonly high: number;
  readonly log?: boolean;
  readonly step?: number;
}
export interface CategoricalDistribution {
  readonly kind: "categorical";
  readonly choices: readonly ParamValue[];
}
export type Distribution = FloatDistribution | IntDistribution | CategoricalDistribution;

export type Params = Readonly<Record<string, ParamValue>>;

/** One dimension of a space. */
export interface Dimension {
  readonly name: string;
  readonly distribution: Distribution;
  /** The dimension exists only when this holds of the parameters decided before it. @default always */
  readonly when?: (params: Params) => boolean;
}

/** Ordered: a `when` may look at earlier dimensions only. */
export type Space = readonly Dimension[];

/** Which part of the study proposed a trial. Inference about layers uses only "random" (drawn beforehand, never pruned). */
export type Arm = "warm-start" | "random" | "optimized";

/** A trial as stored. Immutable once its state is COMPLETE, PRUNED or FAIL. */
export interface TrialRecord {
  /** 0, 1, 2, … in order of creation. */
  readonly number: number;
  readonly trialId: number;
  readonly state: TrialState;
  /** Objective; null unless COMPLETE (or PRUNED with a last intermediate value, as Optuna does). */
  readonly value: number | null;
  readonly params: Params;
  readonly distributions: Readonly<Record<string, Distribution>>;
  /** Sorted by step. NaN is kept. */
  readonly intermediateValues: ReadonlyMap<number, number>;
  readonly userAttrs: Readonly<Record<string, unknown>>;
  readonly systemAttrs: Readonly<Record<string, unknown>>;
  readonly datetimeStart: Date | null;
  readonly datetimeComplete: Date | null;
}
