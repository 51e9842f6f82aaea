/** What the addon tests share: the addon, its kernel tables, and fixtures as the core takes them. */
import { createHash } from "node:crypto";
import type {
  DatasetSpec,
  LaneSpec,
  ModelHandle,
  ModelSpec,
  NativeAddon,
  Precision,
  SessionHandle,
  SessionOptions,
  StepChunk,
  TensorMap,
} from "../../src/native/contract.js";
import { loadAddon } from "../../src/native/loader.js";
import type { HuggingFaceConfig, PackedBatch } from "./read.js";

export const native = loadAddon() as NativeAddon;

/** Every kernel table this machine can run, the reference too. */
export const kernelTables: readonly string[] = [...new Set([...native.listDevices()[0]!.isas, "ref"])];

export function modelSpec(config: HuggingFaceConfig, overrides: Partial<ModelSpec> = {}): ModelSpec {
  return {
    vocabSize: config.vocab_size,
    hiddenSize: config.hidden_size,
    numLayers: config.num_hidden_layers,
    numHeads: config.num_attention_heads,
    intermediateSize: config.intermediate_size,
    maxPositions: config.max_position_embeddings,
    typeVocabSize: config.type_vocab_size,
    layerNormEps: config.layer_norm_eps,
    padTokenId: config.pad_token_id,
    numLabels: config.num_labels,
    pooling: "cls",
    hiddenDropout: 0,
    attentionDropout: 0,
    classifierDropout: 0,
    threads: 1,
    isa: "auto",
    cacheBytes: 0,
    ...overrides,
  };
}

/** AdamW as torch's defaults, no decay, no clipping, no dropout. */
export function laneSpec(trainable: readonly boolean[], overrides: Partial<LaneSpec> = {}): LaneSpec {
  return {
    trainable,
    seed: 0,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    maxGradNorm: 0,
    labelSmoothing: 0,
    dropout: false,
    ...overrides,
  };
}

export const precisions = ["fp32", "bf16"] as const satisfies readonly Precision[];

export const sessionOptions = (cache: SessionOptions["cache"], precision: Precision): SessionOptions => ({
  precision,
  cache,
});
export const cacheOff = sessionOptions("off", "fp32");
export const cacheAuto = sessionOptions("auto", "fp32");

export function datasetSpec(batch: PackedBatch): DatasetSpec {
  return {
    ids: Int32Array.from(batch.ids),
    types: Int32Array.from(batch.types),
    offsets: Int32Array.from(batch.offsets),
    labels: Int32Array.from(batch.labels),
  };
}

/** Steps for some lanes that all see the same rows; rates (steps, groups) alike, or one per lane. */
export function chunk(
  dataset: number,
  steps: readonly (readonly number[])[],
  rates: readonly (readonly number[])[] | readonly (readonly (readonly number[])[])[],
  lanes: readonly number[] = [0],
): StepChunk {
  const perLane = (
    typeof rates[0]?.[0] === "number" ? lanes.map(() => rates) : rates
  ) as readonly (readonly (readonly number[])[])[];
  const offsets = [0];
  for (const rows of steps) offsets.push(offsets.at(-1)! + rows.length);
  return {
    dataset,
    rows: [Int32Array.from(steps.flat())],
    offsets: [Int32Array.from(offsets)],
    lanes: Int32Array.from(lanes),
    learningRates: Float64Array.from(perLane.flat(2)),
  };
}

/** Trained at the given rates for every step. */
export const constantRates = (steps: number, rates: readonly number[]) =>
  Array.from({ length: steps }, () => rates);

export const tensorNames = (model: ModelHandle) => native.describeModel(model).tensors.map((t) => t.name);

export async function readAll(
  model: ModelHandle,
  session: SessionHandle,
  lane = 0,
): Promise<Record<string, Float32Array>> {
  const names = tensorNames(model);
  const read = await native.readTensors(session, lane, names);
  return Object.fromEntries(names.map((n, i) => [n, read[i]!]));
}

/** Hash of bytes: equal bits, nothing less. */
export function bits(...arrays: readonly ArrayBufferView[]): string {
  const hash = createHash("sha256");
  for (const a of arrays) hash.update(new Uint8Array(a.buffer, a.byteOffset, a.byteLength));
  return hash.digest("hex").slice(0, 16);
}

export const bitsOf = (tensors: Readonly<Record<string, Float32Array>>): Record<string, string> =>
  Object.fromEntries(Object.entries(tensors).map(([n, t]) => [n, bits(t)]));

/** Lehmer's generator: fixed numbers in (0, 1). */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** Weights for any shape, large enough that nothing is degenerate. */
export function randomWeights(spec: ModelSpec, seed = 11): TensorMap {
  const random = generator(seed);
  const C = spec.hiddenSize;
  const F = spec.intermediateSize;
  const uniform = (n: number, scale: number, center = 0) =>
    Float32Array.from({ length: n }, () => center + scale * 2 * (random() - 0.5));
  const out: Record<string, Float32Array> = {};
  const linear = (name: string, rows: number, cols: number) => {
    out[`${name}.weight`] = uniform(rows * cols, 2 / Math.sqrt(cols));
    out[`${name}.bias`] = uniform(rows, 0.2);
  };
  const norm = (name: string) => {
    out[`${name}.weight`] = uniform(C, 0.3, 1);
    out[`${name}.bias`] = uniform(C, 0.2);
  };
  out["embeddings.word_embeddings.weight"] = uniform(spec.vocabSize * C, 1);
  out["embeddings.position_embeddings.weight"] = uniform(spec.maxPositions * C, 1);
  out["embeddings.token_type_embeddings.weight"] = uniform(spec.typeVocabSize * C, 1);
  norm("embeddings.LayerNorm");
  for (let i = 0; i < spec.numLayers; i++) {
    const p = `encoder.layer.${i}`;
    for (const part of ["query", "key", "value"]) linear(`${p}.attention.self.${part}`, C, C);
    linear(`${p}.attention.output.dense`, C, C);
    norm(`${p}.attention.output.LayerNorm`);
    linear(`${p}.intermediate.dense`, F, C);
    linear(`${p}.output.dense`, C, F);
    norm(`${p}.output.LayerNorm`);
  }
  if (spec.pooling === "cls") linear("pooler.dense", C, C);
  linear("classifier", spec.numLabels, C);
  return out;
}

/** Rows of random tokens with lengths in [2, longest], types 0 then 1 in odd rows. */
export function randomDataset(spec: ModelSpec, rows: number, longest: number, seed = 5): PackedBatch {
  const random = generator(seed);
  const below = (n: number) => Math.floor(random() * n);
  const ids: number[] = [];
  const types: number[] = [];
  const offsets = [0];
  const labels: number[] = [];
  for (let r = 0; r < rows; r++) {
    const length = 2 + below(longest - 1);
    for (let t = 0; t < length; t++) {
      ids.push(1 + below(spec.vocabSize - 1));
      types.push(r % 2 === 1 && t >= length / 2 && spec.typeVocabSize > 1 ? 1 : 0);
    }
    offsets.push(ids.length);
    labels.push(below(spec.numLabels));
  }
  return { ids, types, offsets, labels };
}
