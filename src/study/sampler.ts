/**
 * Decides where to search next. Implementations: `samplers/`.
 */

import type { Rng } from "./rng.js";
import type { Direction, Params, Space, TrialRecord } from "./types.js";

export interface ProposeContext {
  readonly direction: Direction;
  /** Values somebody has decided already (an enqueued trial that names some parameters): taken as they are. */
  readonly fixed: Params;
}

/**
 * Life: `propose` is called once per trial, before the trial exists in the store. If another process creates a trial in
 * between, it is called again with the longer history.
 *
 * `history` holds every other record of the study in the order they were planned, whatever its state: RUNNING ones have
 * params and no value, FAIL ones say nothing about the objective, PRUNED ones may lack a value. Intermediate values may be
 * NaN. Records are frozen.
 *
 * Pure apart from `rng`: the same space, history, fixed values and generator give the same params. Do not keep `rng`.
 */
export interface Sampler {
  /** Optuna's name without "Sampler", in lower case: stored with the study. */
  readonly name: string;
  /** A value for each dimension that exists, conditional ones decided in the order of the space. */
  propose(space: Space, history: readonly TrialRecord[], rng: Rng, context: ProposeContext): Params;
}
