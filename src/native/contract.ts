/**
 * The boundary as types: every function of the addon, by hand. `native/addon` implements exactly this; the friendly
 * classes are in `model.ts` and `session.ts`. Two opaque handles: a model and a session (session ⊂ model).
 *
 * Shapes: K lanes, G groups (embeddings, layer.0 …, head), S steps of a chunk, R classes.
 * Ownership: arguments are *copied in* before the call returns; results are *yours*.
 */

declare const tag: unique symbol;
export type ModelHandle = { readonly [tag]: "model" };
export type SessionHandle = { readonly [tag]: "session" };

export type Precision = "fp32" | "bf16";

export interface ModelSpec {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly intermediateSize: number;
  readonly maxPositions: number;
  readonly typeVocabSize: number;
  readonly layerNormEps: number;
  readonly padTokenId: number;
  readonly numLabels: number;
  readonly pooling: "cls" | "mean";
  /** Probabilities in [0, 0.999] used in the dropout sites of trainable groups. */
  readonly hiddenDropout: number;
  readonly attentionDropout: number;
  readonly classifierDropout: number;
  /** Threads of this model's pool, ≥ 1. */
  readonly threads: number;
  /** "auto" or the name of a kernel table ("avx512", "avx2", "portable", "ref"). */
  readonly isa: string;
  /** Bytes the prefix cache may hold in memory, over all datasets and depths. 0: no cache. */
  readonly cacheBytes: number;
  /** Bytes of prefixes that may move to memory-mapped temporary files once memory is full. @default 0 */
  readonly cacheFileBytes?: number;
  /** Where those files go; needed with cacheFileBytes. */
  readonly cacheDirectory?: string;
}

/** fp32 tensors by the names of `models/bert.ts`; all the names `describeModel` lists must be there. */
export type TensorMap = Readonly<Record<string, Float32Array>>;

export interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
  /** Index into `groups`. */
  readonly group: number;
  /** Weight decay applies (Hugging Face's rule: not biases, not LayerNorm). */
  readonly decay: boolean;
}

export interface ModelDescription {
  readonly isa: string;
  readonly threads: number;
  /** "embeddings", "layer.0", …, "head". */
  readonly groups: readonly string[];
  readonly tensors: readonly TensorInfo[];
  readonly parameters: number;
}

/** A packed dataset, copied into the model. Shapes as `EncodedDataset`. */
export interface DatasetSpec {
  readonly ids: Int32Array;
  readonly types: Int32Array;
  readonly offsets: Int32Array;
  readonly labels: Int32Array;
}

export interface LaneSpec {
  /** Per group: true = trained, false = frozen (no gradient, no moments, no decay, no dropout). At least one true. */
  readonly trainable: readonly boolean[];
  /** Of the dropout generator; a non-negative safe integer. */
  readonly seed: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Of AdamW, at least 1e-30: some gradients are exactly zero. */
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Gradient norm over trainable tensors is clipped to this; 0 = no clipping. */
  readonly maxGradNorm: number;
  readonly labelSmoothing: number;
  /** false: no dropout anywhere (parity tests). */
  readonly dropout: boolean;
  /** Starting values of trainable tensors, where they are not the model's (a classifier drawn from another seed). */
  readonly initial?: TensorMap;
}

export interface SessionOptions {
  readonly precision: Precision;
  /** "auto" keeps outputs of the frozen prefix per example across epochs, lanes and sessions of the model. */
  readonly cache: "auto" | "off";
  /** Keep frozen weights packed as the kernels read them, as long as the model lives: those weights take twice the memory,
   *  and single short texts about a quarter less time. For prediction. @default false */
  readonly packWeights?: boolean;
  /**
   * The one lane (else ERR_RANGE) trains the model's own weights: a copy of them less in memory. No other session of the
   * model may be alive, and it makes none later (ERR_STATE). @default false
   */
  readonly inPlace?: boolean;
}

/** One op of a compiled plan. Golden lists of these are the plan tests. */
export interface PlanOp {
  /** "linear_forward", "attention_backward", … as in native/kernels/kernels.h, plus "prefix" for a cached prefix. */
  readonly kind: string;
  /** The group the op belongs to: "embeddings", "layer.3", "head". */
  readonly group: string;
  /** Which part: "qkv", "attention_output", "ffn_in", … */
  readonly site: string;
  readonly flops: number;
  readonly bytes: number;
}

export interface PlanDescription {
  readonly ops: readonly PlanOp[];
  /** Tensors that get an update, in order. */
  readonly updates: readonly string[];
  readonly trainedParameters: number;
  /** Leading frozen stages: 0 none, 1 embeddings, 1 + k embeddings and layers 0..k-1. */
  readonly prefixDepth: number;
  /** Totals for the batch asked about. `flops` without the prefix when it is cached. */
  readonly flops: number;
  readonly bytes: number;
  readonly arenaBytes: number;
}

export interface PlanRequest {
  readonly lane: number;
  /** Sequence lengths of the batch the FLOPs and bytes are for. */
  readonly lengths: Int32Array;
  /** Count the prefix as read from the cache. */
  readonly cached: boolean;
}

export interface StepChunk {
  readonly dataset: number;
  /** Row indices of each step's batch, one list per lane of `lanes`, or a single list shared by all of them. */
  readonly rows: readonly Int32Array[];
  /** Shape (S + 1): step s takes rows[offsets[s] .. offsets[s+1]). One per list of `rows`. */
  readonly offsets: readonly Int32Array[];
  /** Which lanes take these steps. */
  readonly lanes: Int32Array;
  /** Learning rates, shape (lanes, S, G), finite and ≥ 0; those of frozen groups are ignored. */
  readonly learningRates: Float64Array;
}

export interface StepResults {
  readonly status: "completed" | "cancelled";
  /** Per lane of the chunk: steps completed (parameters updated). Less than S if cancelled or diverged. */
  readonly completed: Int32Array;
  /** Per lane: the step (index in the chunk) whose loss or gradient norm was not finite, or -1. No update was made there. */
  readonly diverged: Int32Array;
  /** Mean loss of each batch, shape (lanes, S); NaN where not run. */
  readonly loss: Float32Array;
  /** Gradient norm before clipping, shape (lanes, S). */
  readonly gradNorm: Float32Array;
  readonly seconds: number;
  readonly tokens: number;
  /** Floating-point operations of the ops that ran. */
  readonly flops: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  /** Bytes the model's prefix cache holds now, in memory and files. */
  readonly cacheBytes: number;
}

export interface EvaluateRequest {
  readonly lane: number;
  readonly dataset: number;
  /** Rows to evaluate, in this order. @default all */
  readonly rows?: Int32Array;
  /**
   * Also return the last hidden state of every token, shape (tokens of rows, C). Logits come from a first token computed apart
   * (cls pooling), so that they have the same bits without it: the two may differ in the last digits.
   */
  readonly hiddenStates?: boolean;
}

export interface EvaluateResults {
  readonly status: "completed" | "cancelled";
  /** Shape (rows, R). */
  readonly logits: Float32Array;
  /** Cross entropy per row without label smoothing; NaN where the row has no label. Shape (rows). */
  readonly loss: Float32Array;
  readonly hiddenStates: Float32Array | null;
  readonly seconds: number;
}

export interface VersionInfo {
  readonly addon: string;
  readonly compiler: string;
  readonly napi: number;
}

export interface DeviceInfo {
  readonly kind: "cpu";
  /** Kernel tables this machine can run, best first. */
  readonly isas: readonly string[];
  readonly bf16: boolean;
  readonly threads: number;
}

/** Time per op kind since the session began, for `--profile`. */
export interface ProfileRow {
  readonly kind: string;
  readonly calls: number;
  readonly seconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Ceilings of this machine, measured in about a third of a second. */
export interface PeakInfo {
  /** FLOP/s of multiply-adds in registers, all threads together, by precision. */
  readonly fp32: number;
  readonly bf16: number;
  /** Bytes/s of `y += x` over arrays larger than the caches. */
  readonly stream: number;
}

export interface NativeAddon {
  version(): VersionInfo;
  listDevices(): DeviceInfo[];
  /** Largest relative difference between the chosen and the reference kernels on a small problem, by op. */
  selfTest(isa: string): Promise<Record<string, number>>;
  measurePeak(spec: { readonly threads: number; readonly isa: string }): Promise<PeakInfo>;

  /** Names something that goes on in this process, for all its threads to see, until `endRun` or the end of this thread. */
  beginRun(name: string): void;
  endRun(name: string): void;
  isRunning(name: string): boolean;

  createModel(spec: ModelSpec, tensors: TensorMap): Promise<ModelHandle>;
  describeModel(model: ModelHandle): ModelDescription;
  /** Resolves to the dataset's index in this model. */
  addDataset(model: ModelHandle, data: DatasetSpec): Promise<number>;

  /** Frees a dataset and its cached prefixes. Indices of the others stay. */
  removeDataset(model: ModelHandle, dataset: number): Promise<void>;

  createSession(
    model: ModelHandle,
    lanes: readonly LaneSpec[],
    options: SessionOptions,
  ): Promise<SessionHandle>;
  describePlan(session: SessionHandle, request: PlanRequest): PlanDescription;
  runSteps(session: SessionHandle, chunk: StepChunk): Promise<StepResults>;
  evaluate(session: SessionHandle, request: EvaluateRequest): Promise<EvaluateResults>;
  /** Loss and every gradient of one batch, without an update: for tests and signals such as gradient norms. */
  gradients(
    session: SessionHandle,
    lane: number,
    dataset: number,
    rows: Int32Array,
  ): Promise<{ loss: number; gradients: Record<string, Float32Array> }>;

  readTensors(session: SessionHandle, lane: number, names: readonly string[]): Promise<Float32Array[]>;
  /** Remembers the lane's trained weights (one slot), or goes back to them. Moments and step count stay. */
  snapshot(session: SessionHandle, lane: number): Promise<void>;
  restore(session: SessionHandle, lane: number): Promise<void>;
  /** Weights, moments, step count and generator of a lane: save → load → continue is as never stopped, bit for bit. */
  saveState(session: SessionHandle, lane: number): Promise<Uint8Array>;
  loadState(session: SessionHandle, lane: number, state: Uint8Array): Promise<void>;

  profile(session: SessionHandle): ProfileRow[];
  /** Asks the running call of this session to stop at the next op. `gradients` is rejected then, ERR_CANCELLED. */
  cancel(session: SessionHandle): void;
  /** Idempotent. Disposing a model cancels and disposes its sessions. */
  dispose(handle: ModelHandle | SessionHandle): Promise<void>;
}
