/**
 * Where a study lives. Implementations: `stores/`.
 *
 * What every store promises:
 * - A finished trial (COMPLETE, PRUNED, FAIL) never changes. A call that would change one throws ERR_STORE_TRIAL_FINISHED.
 * - `finishTrials` writes state, value and everything else of all results in one step: another process, or a later one
 *   after a crash, sees all of it or none. When it has resolved, the result survives the process; on disk, also a power cut.
 * - `createTrials` is one step too, and only happens if the study holds exactly as many trials as the caller thought.
 *   Numbers are 0, 1, 2, … without gaps; a trial is never deleted alone.
 * - A WAITING trial is claimed by one caller, however many processes ask at once.
 * - `interruptTrial` has one winner too: the trial becomes FAIL and its successor WAITING in the same step.
 * - Nothing blocks for long. A locked store is waited for; after a minute ERR_STORE_BUSY says so, and the call can be made
 *   again.
 * - Records handed out are frozen, and may be shared between calls.
 *
 * Everything is a promise, so that a store may live behind a socket.
 */

import type { Direction, Distribution, Params, TrialRecord, TrialState } from "./types.js";

export type Attrs = Readonly<Record<string, unknown>>;

export interface StoredStudy {
  readonly studyId: number;
  readonly studyName: string;
  readonly directions: readonly Direction[];
  readonly userAttrs: Attrs;
  readonly systemAttrs: Attrs;
}

export interface NewStudy {
  readonly studyName: string;
  readonly directions: readonly Direction[];
  readonly userAttrs?: Attrs;
  readonly systemAttrs?: Attrs;
}

export interface NewTrial {
  readonly state: "RUNNING" | "WAITING";
  readonly params?: Params;
  /** One for each of `params`. */
  readonly distributions?: Readonly<Record<string, Distribution>>;
  readonly userAttrs?: Attrs;
  readonly systemAttrs?: Attrs;
}

/** What is added to a trial that is RUNNING. */
export interface TrialUpdate {
  readonly params?: Params;
  readonly distributions?: Readonly<Record<string, Distribution>>;
  readonly userAttrs?: Attrs;
  readonly systemAttrs?: Attrs;
  /** The first report of a step counts; later ones are ignored, as in Optuna. */
  readonly intermediateValues?: ReadonlyMap<number, number>;
}

export interface TrialResult extends TrialUpdate {
  readonly state: Extract<TrialState, "COMPLETE" | "PRUNED" | "FAIL">;
  /** Never NaN. ±Infinity is allowed. */
  readonly value: number | null;
}

export interface Store extends AsyncDisposable {
  /** As the user wrote it, for messages. */
  readonly url: string;

  /** @throws StoreError ERR_STORE_STUDY_EXISTS when the name is taken. */
  createStudy(study: NewStudy): Promise<StoredStudy>;
  /** Null when there is none of that name. */
  findStudy(studyName: string): Promise<StoredStudy | null>;
  /** In order of creation. */
  studyNames(): Promise<string[]>;
  /** Sets or replaces each attribute, all or none. */
  setStudyAttrs(studyId: number, attrs: { readonly user?: Attrs; readonly system?: Attrs }): Promise<void>;

  /** Every trial of the study by number. Costs what changed since the last call, not what there is. */
  trials(studyId: number): Promise<readonly TrialRecord[]>;
  /** Null, and nothing is written, when the study does not hold exactly `expectedCount` trials. */
  createTrials(
    studyId: number,
    trials: readonly NewTrial[],
    expectedCount: number,
  ): Promise<TrialRecord[] | null>;
  /** WAITING → RUNNING with `update` applied. False when somebody else was first. */
  claimTrial(trialId: number, update?: TrialUpdate): Promise<boolean>;
  /** Adds to a RUNNING trial. */
  updateTrial(trialId: number, update: TrialUpdate): Promise<void>;
  /** @param results by trial id. */
  finishTrials(results: ReadonlyMap<number, TrialResult>): Promise<void>;
  /** RUNNING → FAIL with `systemAttrs`, and `successor` WAITING if there is one. False when it was no longer RUNNING. */
  interruptTrial(trialId: number, systemAttrs: Attrs, successor: NewTrial | null): Promise<boolean>;

  /** Idempotent. Calls after it throw ERR_STORE_CLOSED. */
  close(): Promise<void>;
}
