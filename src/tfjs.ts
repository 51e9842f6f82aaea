/**
 * `permafrost/tfjs`: logits and hidden states as TensorFlow.js tensors and back. Any backend; none is chosen here.
 *
 * Symbols: B rows, R classes, T tokens of all rows (packed, no padding), C hidden size. Everything is copied: a tensor never
 * shares memory with permafrost's arrays. Tensors made here are yours to dispose.
 */
import { type Tensor, type Tensor1D, type Tensor2D, tensor1d, tensor2d } from "@tensorflow/tfjs-core";
import { ConfigError, type Issue } from "./errors.js";
import type { HiddenStates } from "./predict.js";

export type { HiddenStates } from "./predict.js";

/** Logits, row-major. */
export interface Logits {
  /** Shape (B, R). */
  readonly logits: Float32Array;
  /** R ≥ 1. */
  readonly labels: number;
}

/** Hidden states as tensors. */
export interface HiddenStateTensors {
  /** float32, shape (T, C). */
  readonly hiddenStates: Tensor2D;
  /** int32, shape (B + 1). */
  readonly offsets: Tensor1D;
}

/**
 * Logits as a float32 tensor of shape (B, R), or hidden states as float32 (T, C) with int32 offsets (B + 1).
 *
 * @throws ConfigError `ERR_SHAPE` when lengths and offsets do not fit together.
 *
 * @example
 * const { hiddenStates, offsets } = toTensor(await model.hiddenStates(["a text", "another"]));
 */
export function toTensor(source: Logits): Tensor2D;
export function toTensor(source: HiddenStates): HiddenStateTensors;
export function toTensor(source: Logits | HiddenStates): Tensor2D | HiddenStateTensors {
  if ("logits" in source) {
    const { logits, labels } = source;
    check(issuesOfLogits(source));
    // `slice`: the CPU backend would keep the array it is given.
    return tensor2d(logits.slice(), [logits.length / labels, labels]);
  }
  check(issuesOfHiddenStates(source));
  const { hiddenStates, offsets, hiddenSize } = source;
  return {
    hiddenStates: tensor2d(hiddenStates.slice(), [offsets[offsets.length - 1]!, hiddenSize]),
    offsets: tensor1d(offsets.slice(), "int32"),
  };
}

/**
 * The way back: waits for the backend and copies. Does not dispose the tensors.
 *
 * @throws ConfigError `ERR_SHAPE` when a tensor has another rank or dtype than `toTensor` gives.
 */
export function fromTensor(tensor: Tensor2D): Promise<Logits>;
export function fromTensor(tensors: HiddenStateTensors): Promise<HiddenStates>;
export async function fromTensor(source: Tensor2D | HiddenStateTensors): Promise<Logits | HiddenStates> {
  if ("offsets" in source) {
    check([
      ...issuesOfTensor("hiddenStates", source.hiddenStates, "float32", 2),
      ...issuesOfTensor("offsets", source.offsets, "int32", 1),
    ]);
    const [hiddenStates, offsets] = await Promise.all([source.hiddenStates.data(), source.offsets.data()]);
    const out = {
      hiddenStates: Float32Array.from(hiddenStates),
      offsets: Int32Array.from(offsets),
      hiddenSize: source.hiddenStates.shape[1],
    };
    check(issuesOfHiddenStates(out));
    return out;
  }
  check(issuesOfTensor("logits", source, "float32", 2));
  const out = { logits: Float32Array.from(await source.data()), labels: source.shape[1] };
  check(issuesOfLogits(out));
  return out;
}

function check(issues: readonly Issue[]): void {
  if (issues.length > 0) throw new ConfigError("ERR_SHAPE", "tensors and arrays do not fit together", issues);
}

function issuesOfLogits({ logits, labels }: Logits): Issue[] {
  if (!Number.isInteger(labels) || labels < 1) {
    return [{ path: "labels", expected: "a whole number ≥ 1", received: String(labels) }];
  }
  if (logits.length % labels === 0) return [];
  return [{ path: "logits", expected: `a multiple of ${labels} values`, received: String(logits.length) }];
}

function issuesOfHiddenStates({ hiddenStates, offsets, hiddenSize }: HiddenStates): Issue[] {
  if (offsets.length === 0 || offsets[0] !== 0) {
    const received = offsets.length === 0 ? "none" : `${offsets[0]} first`;
    return [{ path: "offsets", expected: "offsets from 0", received }];
  }
  for (let b = 1; b < offsets.length; b++) {
    if (offsets[b]! < offsets[b - 1]!) {
      return [
        { path: `offsets[${b}]`, expected: `at least ${offsets[b - 1]}`, received: String(offsets[b]) },
      ];
    }
  }
  const tokens = offsets[offsets.length - 1]!;
  if (hiddenStates.length === tokens * hiddenSize) return [];
  const expected = `${tokens} tokens of ${hiddenSize} values`;
  return [{ path: "hiddenStates", expected, received: `${hiddenStates.length} values` }];
}

function issuesOfTensor(path: string, tensor: Tensor, dtype: "float32" | "int32", rank: number): Issue[] {
  if (tensor.dtype === dtype && tensor.rank === rank) return [];
  return [{ path, expected: `${dtype} of rank ${rank}`, received: `${tensor.dtype} of rank ${tensor.rank}` }];
}
