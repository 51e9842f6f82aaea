import type { Arm, TrialState } from "./study/types.js";

/** Progress of `fineTune`: what an async iteration over the run yields. Plain data, safe to print as JSON. */
export type TrainEvent =
  | { readonly type: "notice"; readonly message: string }
  | {
      readonly type: "start";
      readonly totalSteps: number;
      readonly trainRows: number;
      readonly trainedParameters: number;
      readonly rates: Readonly<Record<string, number>>;
    }
  | {
      readonly type: "step";
      readonly step: number;
      readonly epoch: number;
      readonly loss: number;
      readonly gradNorm: number;
      /** Rate per group at this step. */
      readonly learningRates: Readonly<Record<string, number>>;
    }
  | {
      readonly type: "evaluation";
      readonly step: number;
      readonly epoch: number;
      readonly loss: number;
      readonly accuracy: number;
      readonly best: boolean;
    }
  | { readonly type: "saved"; readonly path: string };

/** Which part of a search is running. */
export type SearchPhase = "prepare" | "search" | "baseline" | "retrain" | "analyse" | "write";

/** Progress of `search`. */
export type SearchEvent =
  | { readonly type: "notice"; readonly message: string }
  | {
      readonly type: "phase";
      readonly phase: SearchPhase;
      /** Units of work in this phase: trials, seeds, files; 0 when not counted. */
      readonly total: number;
    }
  | { readonly type: "trialStart"; readonly phase: SearchPhase; readonly number: number; readonly arm: Arm }
  | {
      readonly type: "trialProgress";
      readonly phase: SearchPhase;
      readonly number: number;
      readonly epoch: number;
      /** Accuracy on validation; before the end, where only the pruner looks, on a sample of its rows. */
      readonly value: number;
    }
  | {
      readonly type: "trialEnd";
      readonly phase: SearchPhase;
      readonly number: number;
      readonly arm: Arm;
      readonly state: TrialState;
      readonly value: number | null;
      readonly rates: Readonly<Record<string, number>>;
      readonly seconds: number;
      /** Of this phase so far; null before the first finished trial. */
      readonly best: { readonly number: number; readonly value: number } | null;
      readonly finished: number;
      readonly total: number;
    }
  | {
      readonly type: "seedEnd";
      readonly arm: string;
      readonly seed: number;
      /** Accuracy; null when the retraining diverged. */
      readonly validation: number | null;
      readonly seconds: number;
      readonly finished: number;
      readonly total: number;
    }
  | { readonly type: "saved"; readonly path: string };
