// support.mjs — what the benches share: the addon, a model of any shape with random weights, datasets, a stepper.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";

const require = createRequire(import.meta.url);
export const native = require(process.env.PERMAFROST_ADDON ?? "../build/Release/permafrost.node");

/** Shapes of Hugging Face's configs. */
export const shapes = {
  "minilm-l6": { hidden: 384, layers: 6, heads: 12, ffn: 1536, vocab: 30522 },
  "bert-base": { hidden: 768, layers: 12, heads: 12, ffn: 3072, vocab: 30522 },
  tiny: { hidden: 128, layers: 2, heads: 4, ffn: 512, vocab: 1000 },
};

function tensorSizes(shape, labels) {
  const C = shape.hidden;
  const sizes = {
    "embeddings.word_embeddings.weight": shape.vocab * C,
    "embeddings.position_embeddings.weight": 512 * C,
    "embeddings.token_type_embeddings.weight": 2 * C,
    "pooler.dense.weight": C * C,
    "pooler.dense.bias": C,
    "classifier.weight": labels * C,
    "classifier.bias": labels,
  };
  const norm = (p) => {
    sizes[`${p}LayerNorm.weight`] = C;
    sizes[`${p}LayerNorm.bias`] = C;
  };
  const dense = (p, rows, cols) => {
    sizes[`${p}weight`] = rows * cols;
    sizes[`${p}bias`] = rows;
  };
  norm("embeddings.");
  for (let i = 0; i < shape.layers; i++) {
    const p = `encoder.layer.${i}.`;
    for (const n of ["query", "key", "value"]) dense(`${p}attention.self.${n}.`, C, C);
    dense(`${p}attention.output.dense.`, C, C);
    dense(`${p}intermediate.dense.`, shape.ffn, C);
    dense(`${p}output.dense.`, C, shape.ffn);
    norm(`${p}attention.output.`);
    norm(`${p}output.`);
  }
  return sizes;
}

/** Uniform weights of standard deviation 0.02 (BERT's initialisation), zero biases, unit LayerNorm gains. */
function randomWeights(shape, labels) {
  return Object.fromEntries(
    Object.entries(tensorSizes(shape, labels)).map(([name, size], seed) => {
      const gain = name.endsWith("LayerNorm.weight");
      const data = new Float32Array(size).fill(gain ? 1 : 0);
      if (name.endsWith("weight") && !gain) {
        let state = seed + 1;
        for (let i = 0; i < size; i++) {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          data[i] = (state / 2 ** 32 - 0.5) * 0.0693;
        }
      }
      return [name, data];
    }),
  );
}

/** The same pseudo-random tokens for every contender: an LCG, ids in [5, vocab). */
export function tokens(count, vocab, seed = 1) {
  let state = seed >>> 0;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 5 + ((state >>> 8) % (vocab - 5));
  });
}

/**
 * A model of `spec.shape` with a dataset whose row i has `lengths[i]` tokens.
 * spec: {shape, dropout?, threads?, isa?, labels?}.
 */
export async function openModel(spec, lengths) {
  const shape = shapes[spec.shape];
  const numLabels = spec.labels ?? 12;
  const dropout = spec.dropout ?? 0;
  const model = await native.createModel(
    {
      vocabSize: shape.vocab,
      hiddenSize: shape.hidden,
      numLayers: shape.layers,
      numHeads: shape.heads,
      intermediateSize: shape.ffn,
      maxPositions: 512,
      typeVocabSize: 2,
      layerNormEps: 1e-12,
      padTokenId: 0,
      numLabels,
      pooling: "cls",
      hiddenDropout: dropout,
      attentionDropout: dropout,
      classifierDropout: dropout,
      threads: spec.threads ?? 2,
      isa: spec.isa ?? "auto",
      cacheBytes: 2 ** 32,
    },
    randomWeights(shape, numLabels),
  );
  const offsets = new Int32Array(lengths.length + 1);
  lengths.forEach((n, i) => {
    offsets[i + 1] = offsets[i] + n;
  });
  const ids = tokens(offsets[lengths.length], shape.vocab);
  const labels = Int32Array.from(lengths, (_, i) => i % numLabels);
  const dataset = await native.addDataset(model, { ids, types: new Int32Array(ids.length), offsets, labels });
  return { model, dataset, shape, rows: lengths.length };
}

/** One lane as a fine-tuning user has it: AdamW, weight decay 0.01, clipping to 1; embeddings and the bottom `frozen` layers frozen. */
export function laneOf(shape, { frozen = 0, dropout = 0, seed = 1 } = {}) {
  return {
    trainable: Array.from({ length: shape.layers + 2 }, (_, g) => frozen === 0 || g > frozen),
    seed,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    maxGradNorm: 1,
    labelSmoothing: 0,
    dropout: dropout > 0,
  };
}

/** Returns run(steps): that many steps over consecutive batches of `batch` rows, all lanes alike. */
export function stepper({ dataset, shape, rows }, session, { batch, lanes = 1 }) {
  const batches = Math.floor(rows / batch);
  const groups = shape.layers + 2;
  let next = 0;
  return (steps) => {
    const order = [];
    for (let s = 0; s < steps; s++, next++)
      for (let b = 0; b < batch; b++) order.push((next % batches) * batch + b);
    return native.runSteps(session, {
      dataset,
      rows: [Int32Array.from(order)],
      offsets: [Int32Array.from({ length: steps + 1 }, (_, i) => i * batch)],
      lanes: Int32Array.from({ length: lanes }, (_, i) => i),
      learningRates: new Float64Array(lanes * steps * groups).fill(2e-5),
    });
  };
}

export const median = (values) => {
  const s = [...values].sort((a, b) => a - b);
  const half = s.length >> 1;
  return s.length % 2 ? s[half] : (s[half - 1] + s[half]) / 2;
};

export function machine() {
  const cpus = os.cpus();
  return {
    cpu: `${cpus.length} × ${cpus[0].model.trim()}`,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.arch()}`,
    node: process.version,
    addon: native.version(),
    isas: native.listDevices()[0].isas,
  };
}

/** results/<bench>-<kernels>.json: the machine and what was measured. */
export function writeResult(bench, measured) {
  const result = { bench, reproduce: `npm run bench -- ${bench}`, machine: machine(), ...measured };
  writeFileSync(
    new URL(`./results/${bench}-${native.listDevices()[0].isas[0]}.json`, import.meta.url),
    `${JSON.stringify(result, null, 1)}\n`,
  );
}
