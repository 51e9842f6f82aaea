/**
 * An oracle that knows neither PyTorch nor our kernels: the encoder written in TensorFlow.js ops, differentiated by tf.grads.
 * And `permafrost/tfjs`, on what the core returns.
 *
 * tfjs is float32 too, so this cannot be as tight as parity.test.ts: 1e-5 of a tensor's largest gradient (some 80 ulps).
 *
 * tfjs-core registers gradients only when dist/register_all_gradients is imported. That file is an ES module without
 * extensions that plain Node cannot load; vitest transforms it (ES module syntax in a CommonJS package is never left to Node).
 */
import * as tf from "@tensorflow/tfjs-core"; // first: the gradients bring a second copy of some classes, ours must be the engine's

import "@tensorflow/tfjs-core/dist/register_all_gradients";
import "@tensorflow/tfjs-backend-cpu";

import { beforeAll, describe, expect, test } from "vitest";
import type { ModelSpec, TensorMap } from "../../src/native/contract.js";
import { fromTensor, toTensor } from "../../src/tfjs.js";
import {
  cacheOff,
  datasetSpec,
  kernelTables,
  laneSpec,
  modelSpec,
  native,
  randomDataset,
  randomWeights,
} from "../golden/native.js";
import { type PackedBatch, readTiny } from "../golden/read.js";
import { isKeyBias } from "../golden/rule.js";

beforeAll(() => tf.setBackend("cpu"));

const spec = (pooling: "cls" | "mean"): ModelSpec => ({
  ...modelSpec(readTiny().meta.config),
  vocabSize: 61,
  hiddenSize: 48,
  numHeads: 2,
  numLayers: 2,
  intermediateSize: 72,
  maxPositions: 24,
  numLabels: 4,
  layerNormEps: 1e-6,
  pooling,
});

type Weights = Readonly<Record<string, tf.Tensor>>;

/** y = x·wᵀ + b */
const linear = (x: tf.Tensor2D, w: Weights, name: string) =>
  tf.add(tf.matMul(x, w[`${name}.weight`] as tf.Tensor2D, false, true), w[`${name}.bias`]!) as tf.Tensor2D;

function layerNorm(x: tf.Tensor, w: Weights, name: string, eps: number): tf.Tensor2D {
  const centered = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.mul(centered, centered), -1, true);
  const normal = tf.div(centered, tf.sqrt(tf.add(variance, eps)));
  return tf.add(tf.mul(normal, w[`${name}.weight`]!), w[`${name}.bias`]!) as tf.Tensor2D;
}

const gelu = (u: tf.Tensor2D) =>
  tf.mul(tf.mul(u, 0.5), tf.add(tf.erf(tf.div(u, Math.SQRT2)), 1)) as tf.Tensor2D;

/** softmax(q·kᵀ/√D)·v over one sequence, all heads. */
function attention(q: tf.Tensor2D, k: tf.Tensor2D, v: tf.Tensor2D, heads: number): tf.Tensor2D {
  const [n, C] = q.shape;
  const split = (x: tf.Tensor2D) =>
    tf.transpose(tf.reshape(x, [n, heads, C / heads]), [1, 0, 2]) as tf.Tensor3D;
  const scores = tf.div(tf.matMul(split(q), split(k), false, true), Math.sqrt(C / heads));
  const context = tf.matMul(tf.softmax(scores, -1) as tf.Tensor3D, split(v));
  return tf.reshape(tf.transpose(context, [1, 0, 2]), [n, C]);
}

/** Mean loss of a batch, one sequence after the other: no padding anywhere. */
function meanLoss(s: ModelSpec, w: Weights, batch: PackedBatch, smoothing: number): tf.Scalar {
  const losses = batch.labels.map((label, b) => {
    const ids = batch.ids.slice(batch.offsets[b], batch.offsets[b + 1]);
    const types = batch.types.slice(batch.offsets[b], batch.offsets[b + 1]);
    const rows = (table: string, at: readonly number[]) =>
      tf.gather(w[`embeddings.${table}.weight`] as tf.Tensor2D, tf.tensor1d([...at], "int32"));
    const positions = ids.map((_, i) => i);
    const sum = tf.add(
      tf.add(rows("word_embeddings", ids), rows("token_type_embeddings", types)),
      rows("position_embeddings", positions),
    );
    let h = layerNorm(sum, w, "embeddings.LayerNorm", s.layerNormEps);
    for (let i = 0; i < s.numLayers; i++) {
      const p = `encoder.layer.${i}`;
      const [q, k, v] = ["query", "key", "value"].map((x) => linear(h, w, `${p}.attention.self.${x}`));
      const context = attention(q!, k!, v!, s.numHeads);
      const attended = linear(context, w, `${p}.attention.output.dense`);
      const middle = layerNorm(tf.add(attended, h), w, `${p}.attention.output.LayerNorm`, s.layerNormEps);
      const out = linear(gelu(linear(middle, w, `${p}.intermediate.dense`)), w, `${p}.output.dense`);
      h = layerNorm(tf.add(out, middle), w, `${p}.output.LayerNorm`, s.layerNormEps);
    }
    const pooled =
      s.pooling === "mean"
        ? (tf.mean(h, 0, true) as tf.Tensor2D)
        : (tf.tanh(linear(tf.slice(h, [0, 0], [1, s.hiddenSize]), w, "pooler.dense")) as tf.Tensor2D);
    const logProbabilities = tf.logSoftmax(linear(pooled, w, "classifier"));
    const target = Array.from(
      { length: s.numLabels },
      (_, r) => (r === label ? 1 - smoothing : 0) + smoothing / s.numLabels,
    );
    return tf.neg(tf.sum(tf.mul(logProbabilities, tf.tensor2d([target])))) as tf.Scalar;
  });
  return tf.div(tf.addN(losses), losses.length) as tf.Scalar;
}

async function oracle(
  s: ModelSpec,
  weights: TensorMap,
  shapes: Map<string, readonly number[]>,
  batch: PackedBatch,
  smoothing: number,
) {
  const names = Object.keys(weights);
  const values = names.map((n) => tf.tensor(weights[n]!.slice(), [...shapes.get(n)!]));
  const f = (...given: tf.Tensor[]) =>
    meanLoss(s, Object.fromEntries(names.map((n, i) => [n, given[i]!])), batch, smoothing);
  const gradients = tf.grads(f)(values);
  const out = new Map<string, Float32Array>();
  for (const [i, name] of names.entries()) out.set(name, Float32Array.from(await gradients[i]!.data()));
  const loss = (await f(...values).data())[0]!;
  tf.dispose([values, gradients]);
  return { loss, gradients: out };
}

describe.each([
  ["cls", 0],
  ["mean", 0.1],
] as const)("gradients against tf.grads, %s pooling, label smoothing %d", (pooling, smoothing) => {
  const s = spec(pooling);
  const weights = randomWeights(s, 31);
  const batch = randomDataset(s, 5, 24, 77);
  let expected: Awaited<ReturnType<typeof oracle>>;

  beforeAll(async () => {
    const model = await native.createModel(s, weights);
    const shapes = new Map(native.describeModel(model).tensors.map((t) => [t.name, t.shape]));
    await native.dispose(model);
    expected = await oracle(s, weights, shapes, batch, smoothing);
  });

  test.each(kernelTables)("%s", async (isa) => {
    const model = await native.createModel({ ...s, isa }, weights);
    const dataset = await native.addDataset(model, datasetSpec(batch));
    const trainable = Array.from({ length: s.numLayers + 2 }, () => true);
    const session = await native.createSession(
      model,
      [laneSpec(trainable, { labelSmoothing: smoothing })],
      cacheOff,
    );
    const ours = await native.gradients(
      session,
      0,
      dataset,
      Int32Array.from(batch.labels, (_, i) => i),
    );
    expect(Math.abs(ours.loss - expected.loss)).toBeLessThan(1e-5);
    for (const [name, g] of expected.gradients) {
      const scale = isKeyBias(name) ? expected.gradients.get(name.replace(/bias$/, "weight"))! : g;
      const largest = scale.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
      const worst = g.reduce((m, x, i) => Math.max(m, Math.abs(x - ours.gradients[name]![i]!)), 0);
      expect(largest, name).toBeGreaterThan(0);
      expect(worst, `${name}, largest ${largest}`).toBeLessThan(1e-5 * largest);
    }
    await native.dispose(model);
  });
});

describe("permafrost/tfjs", () => {
  test("what the core returns, as tensors and back", async () => {
    const s = spec("cls");
    const batch = randomDataset(s, 6, 20, 3);
    const model = await native.createModel(s, randomWeights(s, 5));
    const dataset = await native.addDataset(model, datasetSpec(batch));
    const session = await native.createSession(model, [laneSpec([false, false, false, true])], cacheOff);
    const { logits, hiddenStates } = await native.evaluate(session, { lane: 0, dataset, hiddenStates: true });
    const offsets = Int32Array.from(batch.offsets);
    const before = tf.memory().numTensors;

    const tensor = toTensor({ logits, labels: s.numLabels });
    expect([tensor.shape, tensor.dtype]).toEqual([[6, s.numLabels], "float32"]);
    expect(await fromTensor(tensor)).toEqual({ logits, labels: s.numLabels });

    const states = toTensor({ hiddenStates: hiddenStates!, offsets, hiddenSize: s.hiddenSize });
    expect([states.hiddenStates.shape, states.hiddenStates.dtype]).toEqual([
      [batch.ids.length, s.hiddenSize],
      "float32",
    ]);
    expect([states.offsets.shape, states.offsets.dtype]).toEqual([[7], "int32"]);
    expect(await fromTensor(states)).toEqual({ hiddenStates, offsets, hiddenSize: s.hiddenSize });

    // The head in tfjs, on the core's hidden states, gives the core's logits.
    const w = Object.fromEntries(
      ["pooler.dense", "classifier"].flatMap((n) => {
        const out = n === "classifier" ? s.numLabels : s.hiddenSize;
        const weights = randomWeights(s, 5);
        return [
          [`${n}.weight`, tf.tensor2d(weights[`${n}.weight`]!, [out, s.hiddenSize])] as const,
          [`${n}.bias`, tf.tensor1d(weights[`${n}.bias`]!)] as const,
        ];
      }),
    );
    const first = tf.gather(states.hiddenStates, tf.slice(states.offsets, 0, 6)) as tf.Tensor2D;
    const again = await linear(tf.tanh(linear(first, w, "pooler.dense")), w, "classifier").data();
    again.forEach((x, i) => {
      expect(Math.abs(x - logits[i]!)).toBeLessThan(1e-5);
    });

    expect(tf.memory().numTensors).toBeGreaterThan(before);
    await native.dispose(model);
  });

  test("copies, both ways", async () => {
    const logits = Float32Array.of(1, 2, 3, 4);
    const tensor = toTensor({ logits, labels: 2 });
    logits[0] = 99;
    const back = await fromTensor(tensor);
    expect([...back.logits]).toEqual([1, 2, 3, 4]);
    back.logits[1] = 99;
    expect([...(await tensor.data())]).toEqual([1, 2, 3, 4]);
    tensor.dispose();
  });

  test("no rows, no tokens", async () => {
    const tensor = toTensor({ logits: new Float32Array(0), labels: 3 });
    expect(tensor.shape).toEqual([0, 3]);
    const states = toTensor({ hiddenStates: new Float32Array(0), offsets: Int32Array.of(0), hiddenSize: 8 });
    expect(states.hiddenStates.shape).toEqual([0, 8]);
    expect(await fromTensor(states)).toMatchObject({ offsets: Int32Array.of(0), hiddenSize: 8 });
  });

  test("what does not fit is refused in words", async () => {
    const code = "ERR_SHAPE";
    const values = new Float32Array(7);
    expect(() => toTensor({ logits: values, labels: 2 })).toThrowErrorMatchingInlineSnapshot(`
      [ConfigError: tensors and arrays do not fit together
        logits   expected a multiple of 2 values, received 7]
    `);
    expect(() => toTensor({ logits: values, labels: 0 })).toThrow(expect.objectContaining({ code }));
    for (const offsets of [[0, 2], [1, 7], [0, 5, 3, 7], []]) {
      const states = { hiddenStates: values, offsets: Int32Array.from(offsets), hiddenSize: 1 };
      expect(() => toTensor(states), String(offsets)).toThrow(expect.objectContaining({ code }));
    }
    expect(() => toTensor({ hiddenStates: values, offsets: Int32Array.of(0, 7), hiddenSize: 2 })).toThrow(
      /7 tokens of 2 values, received 7 values/,
    );
    await expect(fromTensor(tf.tensor2d([[1, 2]], [1, 2], "int32"))).rejects.toMatchObject({ code });
    await expect(fromTensor(tf.tensor1d([1, 2]) as unknown as tf.Tensor2D)).rejects.toMatchObject({ code });
  });
});
