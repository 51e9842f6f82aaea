// tfjs_model.mjs — the contender's code: a post-LayerNorm encoder in tfjs ops on the wasm backend. Bundled by
// tfjs_step.mjs, because tfjs-core's gradients are ES modules without extensions that Node cannot load.
//
// Two concessions to the backend, which has no kernel for the gradient of a gather nor for erf: embeddings are a product
// with one-hot rows, and GELU is the sigmoid form. All sequences have the same length.
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

export async function start(wasmFolder) {
  setWasmPaths(wasmFolder);
  await tf.setBackend("wasm");
  await tf.ready();
}

export function makeStep(shape, batch, length, labels) {
  const { hidden: C, heads: H, ffn: F, layers: L, vocab: V } = shape;
  const normal = (dims) => tf.variable(tf.randomNormal(dims, 0, 0.02));
  const zeros = (n) => tf.variable(tf.zeros([n]));
  const ones = (n) => tf.variable(tf.ones([n]));
  const dense = (rows, cols) => ({ w: normal([rows, cols]), b: zeros(cols) });
  const norm = () => ({ g: ones(C), b: zeros(C) });
  const p = {
    word: normal([V, C]),
    position: normal([length, C]),
    norm: norm(),
    layers: Array.from({ length: L }, () => ({
      q: dense(C, C),
      k: dense(C, C),
      v: dense(C, C),
      o: dense(C, C),
      n1: norm(),
      up: dense(C, F),
      down: dense(F, C),
      n2: norm(),
    })),
    pooler: dense(C, C),
    classifier: dense(C, labels),
  };
  const linear = (x, d) => tf.add(tf.matMul(x, d.w), d.b);
  const layerNorm = (x, n) => {
    const centered = tf.sub(x, tf.mean(x, -1, true));
    return tf.add(
      tf.mul(tf.div(centered, tf.sqrt(tf.add(tf.mean(tf.mul(centered, centered), -1, true), 1e-12))), n.g),
      n.b,
    );
  };
  const split = (x) => tf.transpose(tf.reshape(x, [batch, length, H, C / H]), [0, 2, 1, 3]);
  const gelu = (u) => tf.mul(u, tf.sigmoid(tf.mul(u, 1.702)));

  function loss(ids, target) {
    const embedded = tf.reshape(tf.matMul(tf.cast(tf.oneHot(ids, V), "float32"), p.word), [batch, length, C]);
    let x = tf.reshape(layerNorm(tf.add(embedded, p.position), p.norm), [batch * length, C]);
    for (const l of p.layers) {
      const scores = tf.mul(
        tf.matMul(split(linear(x, l.q)), split(linear(x, l.k)), false, true),
        1 / Math.sqrt(C / H),
      );
      const context = tf.reshape(
        tf.transpose(tf.matMul(tf.softmax(scores), split(linear(x, l.v))), [0, 2, 1, 3]),
        [batch * length, C],
      );
      x = layerNorm(tf.add(x, linear(context, l.o)), l.n1);
      x = layerNorm(tf.add(x, linear(gelu(linear(x, l.up)), l.down)), l.n2);
    }
    const first = tf.reshape(tf.slice(tf.reshape(x, [batch, length, C]), [0, 0, 0], [batch, 1, C]), [
      batch,
      C,
    ]);
    const logits = linear(tf.tanh(linear(first, p.pooler)), p.classifier);
    const shifted = tf.sub(logits, tf.max(logits, -1, true));
    const logProbability = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), -1, true)));
    return tf.neg(tf.mean(tf.sum(tf.mul(logProbability, target), -1)));
  }

  const optimizer = tf.train.adam(2e-5, 0.9, 0.999, 1e-8);
  return (ids, targets) =>
    tf.tidy(() => {
      const target = tf.cast(tf.oneHot(tf.tensor1d(targets, "int32"), labels), "float32");
      const value = optimizer.minimize(() => loss(tf.tensor1d(ids, "int32"), target), true);
      return value.dataSync()[0];
    });
}
