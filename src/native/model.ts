import { addon, call } from "./call.js";
import type {
  DatasetSpec,
  LaneSpec,
  ModelDescription,
  ModelHandle,
  ModelSpec,
  SessionOptions,
  TensorMap,
} from "./contract.js";
import { NativeSession } from "./session.js";

/**
 * Owner of a model in the core: pretrained weights, datasets, the prefix cache, a thread pool.
 * Disposing it cancels and disposes its sessions. Idempotent.
 */
export class NativeModel implements AsyncDisposable {
  readonly description: ModelDescription;
  readonly #handle: ModelHandle;

  private constructor(handle: ModelHandle) {
    this.#handle = handle;
    this.description = addon().describeModel(handle);
  }

  /** @throws NativeError ERR_RANGE or ERR_SHAPE naming the field, ERR_MEMORY. */
  static async create(spec: ModelSpec, tensors: TensorMap): Promise<NativeModel> {
    return new NativeModel(await call("createModel", () => addon().createModel(spec, tensors)));
  }

  /** @returns the dataset's index, for steps and evaluations. */
  addDataset(data: DatasetSpec): Promise<number> {
    return call("addDataset", () => addon().addDataset(this.#handle, data));
  }

  removeDataset(dataset: number): Promise<void> {
    return call("removeDataset", () => addon().removeDataset(this.#handle, dataset));
  }

  /** One lane for each spec; frozen weights are shared by all. */
  async createSession(lanes: readonly LaneSpec[], options: SessionOptions): Promise<NativeSession> {
    return new NativeSession(
      await call("createSession", () => addon().createSession(this.#handle, lanes, options)),
    );
  }

  dispose(): Promise<void> {
    return call("dispose", () => addon().dispose(this.#handle));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
