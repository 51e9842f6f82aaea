import type { Pruner } from "./pruner.js";
import type { Attrs, Store, TrialResult } from "./store.js";
import type { Arm, Direction, Params, TrialRecord } from "./types.js";

export interface TrialContext {
  readonly store: Store;
  readonly studyId: number;
  readonly pruner: Pruner;
  readonly direction: Direction;
}

/**
 * A running trial: the only mutable thing of a study. Ends with exactly one of `complete`, `prune`, `fail`, or with others in
 * one step: `study.finish` of what `completed`, `pruned` and `failed` make.
 */
export class Trial {
  readonly number: number;
  readonly trialId: number;
  readonly params: Params;
  readonly arm: Arm;
  readonly #reports = new Map<number, number>();

  constructor(
    record: Pick<TrialRecord, "number" | "trialId">,
    params: Params,
    arm: Arm,
    private readonly context: TrialContext,
  ) {
    this.number = record.number;
    this.trialId = record.trialId;
    this.params = params;
    this.arm = arm;
  }

  /** Stores an intermediate value at once; the first report of a step counts. @param step an integer ≥ 0. */
  async report(value: number, step: number): Promise<void> {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new RangeError(`step: expected an integer ≥ 0, received ${step}`);
    }
    if (!this.#reports.has(step)) this.#reports.set(step, value);
    await this.context.store.updateTrial(this.trialId, { intermediateValues: new Map([[step, value]]) });
  }

  /** Should it stop? Never for the randomised arm (its trials must not be missing for a reason) nor for warm starts. */
  async shouldPrune(): Promise<boolean> {
    if (this.arm !== "optimized") return false;
    const { store, studyId, pruner, direction } = this.context;
    const others = (await store.trials(studyId)).filter((t) => t.number !== this.number);
    return pruner.prune({ number: this.number, intermediateValues: this.#reports }, others, direction);
  }

  /** NaN makes the trial FAIL, as in Optuna. */
  completed(value: number, userAttrs: Attrs = {}): TrialResult {
    if (Number.isNaN(value)) return this.failed("the value is NaN", userAttrs);
    return { state: "COMPLETE", value, userAttrs };
  }

  /** Its value is the last report, as in Optuna. */
  pruned(userAttrs: Attrs = {}): TrialResult {
    const last = [...this.#reports].sort(([a], [b]) => b - a)[0]?.[1];
    const value = last === undefined || Number.isNaN(last) ? null : last;
    return { state: "PRUNED", value, userAttrs };
  }

  failed(reason: string, userAttrs: Attrs = {}): TrialResult {
    return { state: "FAIL", value: null, userAttrs, systemAttrs: { fail_reason: reason } };
  }

  complete(value: number, userAttrs?: Attrs): Promise<void> {
    return this.#end(this.completed(value, userAttrs));
  }

  prune(userAttrs?: Attrs): Promise<void> {
    return this.#end(this.pruned(userAttrs));
  }

  fail(reason: string, userAttrs?: Attrs): Promise<void> {
    return this.#end(this.failed(reason, userAttrs));
  }

  #end(result: TrialResult): Promise<void> {
    return this.context.store.finishTrials(new Map([[this.trialId, result]]));
  }
}
