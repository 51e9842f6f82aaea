/**
 * Reads the fixtures of this folder: a mini safetensors reader (F64, F32, F16, I32: no checks, the files are ours) and the
 * JSON beside it as types. The product's reader is in src/models; this one is separate so that neither hides a bug of the other.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export interface Stored {
  readonly shape: readonly number[];
  /** F16 comes as F32. */
  readonly data: Float64Array | Float32Array | Int32Array;
}

export const here = path.dirname(fileURLToPath(import.meta.url));
export const repository = path.resolve(here, "..", "..");

export function readSafetensors(file: string): Map<string, Stored> {
  const bytes = readFileSync(file);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)) as Record<string, HeaderEntry>;
  const tensors = new Map<string, Stored>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = entry.data_offsets;
    const from = bytes.byteOffset + 8 + headerBytes;
    const own = bytes.buffer.slice(from + begin, from + end) as ArrayBuffer;
    tensors.set(name, { shape: entry.shape, data: typed(entry.dtype, own, name) });
  }
  return tensors;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

function typed(dtype: string, buffer: ArrayBuffer, name: string): Stored["data"] {
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return Float32Array.from(new Uint16Array(buffer), half);
    case "I32":
      return new Int32Array(buffer);
    default:
      throw new Error(`${name}: ${dtype} is not read here`);
  }
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// ---- the JSON ----------------------------------------------------------------------------------------------------------

/** Plain float32's error in a quantity, over the variants of oracle.py; and the quantity's own size. */
export interface Tolerance {
  readonly max: number;
  readonly rms: number;
  /** Largest magnitude of the reference. */
  readonly largest: number;
  /** Its root mean square. */
  readonly typical: number;
}

/** A packed batch, as `DatasetSpec`. */
export interface PackedBatch {
  readonly ids: readonly number[];
  readonly types: readonly number[];
  readonly offsets: readonly number[];
  readonly labels: readonly number[];
}

export interface HuggingFaceConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
  readonly num_labels: number;
  readonly pad_token_id: number;
  readonly layer_norm_eps: number;
}

export type Quantity = "logits" | "row_loss" | "loss" | "hidden";

export interface Case {
  readonly name: string;
  readonly batch: string;
  readonly trainable: readonly boolean[];
  readonly pooling: "cls" | "mean";
  readonly label_smoothing: number;
  /** The case whose tensors hold the reference: freezing changes no gradient that is left. */
  readonly tensors: string;
  readonly loss: number;
  readonly errors: Readonly<Record<Quantity, Tolerance>>;
  readonly gradient_errors: Readonly<Record<string, Tolerance>>;
}

export interface Training {
  readonly rows: readonly (readonly number[])[];
  /** (steps, groups) */
  readonly rates: readonly (readonly number[])[];
  readonly trainable: readonly boolean[];
  readonly weight_decay: number;
  readonly max_grad_norm: number;
  readonly label_smoothing: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly losses: readonly number[];
  /** Per step: plain float32's largest error so far. */
  readonly loss_errors: readonly number[];
  readonly norms: readonly number[];
  readonly norm_errors: readonly number[];
}

export interface TinyMeta {
  readonly config: HuggingFaceConfig;
  readonly batches: Readonly<Record<string, PackedBatch>>;
  readonly cases: readonly Case[];
  readonly trainings: readonly (Training & {
    readonly name: string;
    readonly batch: string;
    readonly weight_errors: Readonly<Record<string, Tolerance>>;
  })[];
}

export interface SampledTolerance extends Tolerance {
  /** Of the whole tensor, not only the samples. */
  readonly norm: number;
  readonly count: number;
  /** Plain float32's root mean square error over the whole tensor. */
  readonly whole_rms: number;
}

export interface MinilmMeta {
  readonly config: HuggingFaceConfig;
  readonly data: PackedBatch;
  readonly batch: readonly number[];
  readonly loss: number;
  readonly errors: Readonly<Record<Quantity, Tolerance>>;
  readonly gradients: Readonly<Record<string, SampledTolerance>>;
  readonly training: Training & { readonly weights: Readonly<Record<string, SampledTolerance>> };
}

export interface Fixture<Meta> {
  readonly meta: Meta;
  readonly tensors: ReadonlyMap<string, Stored>;
}

function fixture<Meta>(stem: string): Fixture<Meta> {
  return {
    meta: JSON.parse(readFileSync(path.join(here, `${stem}.json`), "utf8")) as Meta,
    tensors: readSafetensors(path.join(here, `${stem}.safetensors`)),
  };
}

export const readTiny = () => fixture<TinyMeta>("tiny");
export const readMinilm = () => fixture<MinilmMeta>("minilm");

/** A stored tensor's values; throws naming it when it is not there. */
export function values(tensors: ReadonlyMap<string, Stored>, name: string): Stored["data"] {
  const found = tensors.get(name);
  if (!found) throw new Error(`fixture holds no tensor ${name}`);
  return found.data;
}

/** Initial weights of a fixture as the core takes them; mean pooling has no pooler. */
export function weightsOf(
  tensors: ReadonlyMap<string, Stored>,
  pooling: "cls" | "mean",
): Record<string, Float32Array> {
  const weights: Record<string, Float32Array> = {};
  for (const [name, stored] of tensors) {
    const plain = name.startsWith("weights/") ? name.slice("weights/".length) : null;
    if (plain === null || (pooling === "mean" && plain.startsWith("pooler."))) continue;
    weights[plain] = stored.data as Float32Array;
  }
  return weights;
}
