/**
 * BERT's forward pass in float64 and plain loops, on packed rows: a second opinion on the fixtures that shares no code with
 * PyTorch or the native core. Slow and clear; tests only. Gradients are checked against it by central differences.
 *
 * Symbols as in native/kernels/kernels.h: T tokens, C hidden size, F feed-forward width, H heads, D head size, R classes.
 */
import type { HuggingFaceConfig, PackedBatch } from "./read.js";

export type Weights = Readonly<Record<string, ArrayLike<number>>>;

export interface Forward {
  /** (B, R) */
  readonly logits: Float64Array;
  /** (B), without label smoothing */
  readonly rowLoss: Float64Array;
  /** Mean over the batch, with label smoothing. */
  readonly loss: number;
  /** (T, C) */
  readonly hidden: Float64Array;
}

export function forward64(
  config: HuggingFaceConfig,
  weights: Weights,
  batch: PackedBatch,
  pooling: "cls" | "mean" = "cls",
  smoothing = 0,
): Forward {
  const C = config.hidden_size;
  const R = config.num_labels;
  const T = batch.ids.length;
  const B = batch.labels.length;
  const w = (name: string) => {
    const found = weights[name];
    if (!found) throw new Error(`no tensor ${name}`);
    return found;
  };
  const linear = (x: Float64Array, rows: number, name: string) =>
    affine(x, rows, w(`${name}.weight`), w(`${name}.bias`));
  const norm = (x: Float64Array, name: string) =>
    layerNorm(x, C, w(`${name}.weight`), w(`${name}.bias`), config.layer_norm_eps);

  const sum = new Float64Array(T * C);
  for (let b = 0; b < B; b++) {
    for (let t = batch.offsets[b]!; t < batch.offsets[b + 1]!; t++) {
      const position = t - batch.offsets[b]!;
      for (let c = 0; c < C; c++) {
        sum[t * C + c] =
          w("embeddings.word_embeddings.weight")[batch.ids[t]! * C + c]! +
          w("embeddings.position_embeddings.weight")[position * C + c]! +
          w("embeddings.token_type_embeddings.weight")[batch.types[t]! * C + c]!;
      }
    }
  }
  let h = norm(sum, "embeddings.LayerNorm");
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const p = `encoder.layer.${i}`;
    const q = linear(h, T, `${p}.attention.self.query`);
    const k = linear(h, T, `${p}.attention.self.key`);
    const v = linear(h, T, `${p}.attention.self.value`);
    const context = attention(q, k, v, batch.offsets, config.num_attention_heads, C);
    const attended = linear(context, T, `${p}.attention.output.dense`);
    const middle = norm(add(attended, h), `${p}.attention.output.LayerNorm`);
    const u = linear(middle, T, `${p}.intermediate.dense`).map(gelu);
    h = norm(add(linear(u, T, `${p}.output.dense`), middle), `${p}.output.LayerNorm`);
  }

  let pooled = new Float64Array(B * C);
  for (let b = 0; b < B; b++) {
    const begin = batch.offsets[b]!;
    const end = pooling === "cls" ? begin + 1 : batch.offsets[b + 1]!;
    for (let t = begin; t < end; t++) {
      for (let c = 0; c < C; c++) pooled[b * C + c]! += h[t * C + c]! / (end - begin);
    }
  }
  if (pooling === "cls") pooled = linear(pooled, B, "pooler.dense").map(Math.tanh);
  const logits = linear(pooled, B, "classifier");

  const rowLoss = new Float64Array(B);
  let loss = 0;
  for (let b = 0; b < B; b++) {
    const row = logits.subarray(b * R, b * R + R);
    const top = Math.max(...row);
    const lse = top + Math.log(row.reduce((s, x) => s + Math.exp(x - top), 0));
    const even = row.reduce((s, x) => s + (lse - x), 0) / R;
    rowLoss[b] = lse - row[batch.labels[b]!]!;
    loss += ((1 - smoothing) * rowLoss[b]! + smoothing * even) / B;
  }
  return { logits, rowLoss, loss, hidden: h };
}

/** y[m,n] = Σ_k x[m,k]·w[n,k] + bias[n] */
function affine(x: Float64Array, M: number, w: ArrayLike<number>, bias: ArrayLike<number>): Float64Array {
  const K = x.length / M;
  const N = bias.length;
  const y = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let s = bias[n]!;
      for (let k = 0; k < K; k++) s += x[m * K + k]! * w[n * K + k]!;
      y[m * N + n] = s;
    }
  }
  return y;
}

function layerNorm(
  x: Float64Array,
  C: number,
  gain: ArrayLike<number>,
  bias: ArrayLike<number>,
  eps: number,
) {
  const y = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += C) {
    const row = x.subarray(at, at + C);
    const mean = row.reduce((s, v) => s + v, 0) / C;
    const variance = row.reduce((s, v) => s + (v - mean) ** 2, 0) / C;
    for (let c = 0; c < C; c++)
      y[at + c] = ((row[c]! - mean) / Math.sqrt(variance + eps)) * gain[c]! + bias[c]!;
  }
  return y;
}

/** softmax(q·kᵀ/√D)·v within each sequence and head. */
function attention(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  offsets: readonly number[],
  H: number,
  C: number,
): Float64Array {
  const D = C / H;
  const out = new Float64Array(q.length);
  for (let b = 0; b + 1 < offsets.length; b++) {
    const begin = offsets[b]!;
    const length = offsets[b + 1]! - begin;
    for (let h = 0; h < H; h++) {
      for (let i = 0; i < length; i++) {
        const scores = new Float64Array(length);
        for (let j = 0; j < length; j++) {
          let s = 0;
          for (let d = h * D; d < h * D + D; d++) s += q[(begin + i) * C + d]! * k[(begin + j) * C + d]!;
          scores[j] = s / Math.sqrt(D);
        }
        const top = Math.max(...scores);
        const p = scores.map((s) => Math.exp(s - top));
        const total = p.reduce((s, x) => s + x, 0);
        for (let j = 0; j < length; j++) {
          for (let d = h * D; d < h * D + D; d++) {
            out[(begin + i) * C + d]! += (p[j]! / total) * v[(begin + j) * C + d]!;
          }
        }
      }
    }
  }
  return out;
}

const add = (a: Float64Array, b: Float64Array) => a.map((x, i) => x + b[i]!);

/** u·Φ(u) */
export const gelu = (u: number) => 0.5 * u * (1 + erf(u / Math.SQRT2));

/** erf by Kummer's series, all terms of one sign: (2/√π)·exp(-x²)·Σ 2ⁿ x^(2n+1) / (2n+1)!!. To a few ulps of 1. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
