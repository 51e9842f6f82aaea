import { addon, call, withSignal } from "./call.js";
import type {
  EvaluateRequest,
  EvaluateResults,
  PlanDescription,
  PlanRequest,
  ProfileRow,
  SessionHandle,
  StepChunk,
  StepResults,
} from "./contract.js";

/** Owner of a session in the core: K lanes trained over the datasets of one model. One call at a time. */
export class NativeSession implements AsyncDisposable {
  readonly #handle: SessionHandle;
  readonly #cancel = () => {
    try {
      addon().cancel(this.#handle);
    } catch (error) {
      // Disposal has cancelled the work already. A listener of a signal that throws would end the process.
      if ((error as NodeJS.ErrnoException).code !== "ERR_DISPOSED") throw error;
    }
  };

  constructor(handle: SessionHandle) {
    this.#handle = handle;
  }

  describePlan(request: PlanRequest): PlanDescription {
    return addon().describePlan(this.#handle, request);
  }

  /** An abort stops the chunk at the next op; the lanes stay at their last completed step and the signal's reason is thrown. */
  async runSteps(chunk: StepChunk, signal?: AbortSignal): Promise<StepResults> {
    const results = await withSignal(signal, this.#cancel, () =>
      call("runSteps", () => addon().runSteps(this.#handle, chunk)),
    );
    if (results.status === "cancelled") signal?.throwIfAborted();
    return results;
  }

  async evaluate(request: EvaluateRequest, signal?: AbortSignal): Promise<EvaluateResults> {
    const results = await withSignal(signal, this.#cancel, () =>
      call("evaluate", () => addon().evaluate(this.#handle, request)),
    );
    if (results.status === "cancelled") signal?.throwIfAborted();
    return results;
  }

  readTensors(lane: number, names: readonly string[]): Promise<Float32Array[]> {
    return call("readTensors", () => addon().readTensors(this.#handle, lane, names));
  }

  snapshot(lane: number): Promise<void> {
    return call("snapshot", () => addon().snapshot(this.#handle, lane));
  }

  restore(lane: number): Promise<void> {
    return call("restore", () => addon().restore(this.#handle, lane));
  }

  saveState(lane: number): Promise<Uint8Array> {
    return call("saveState", () => addon().saveState(this.#handle, lane));
  }

  loadState(lane: number, state: Uint8Array): Promise<void> {
    return call("loadState", () => addon().loadState(this.#handle, lane, state));
  }

  profile(): ProfileRow[] {
    return addon().profile(this.#handle);
  }

  dispose(): Promise<void> {
    return call("dispose", () => addon().dispose(this.#handle));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
