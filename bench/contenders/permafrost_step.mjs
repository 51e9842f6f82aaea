// permafrost_step.mjs — times training steps of our core on a case. One JSON line a sample:
//   {"ms": per step, "tokens": per step, "gflop": per step, "rss_mb": peak}
//   node permafrost_step.mjs '{"shape":…,"batch":16,…}' — see cases.mjs; run.mjs calls it.
import { createRequire } from "node:module";
import { lengthsOf, shapes, tokens } from "./cases.mjs";

const require = createRequire(import.meta.url);
const native = require(process.env.PERMAFROST_ADDON ?? "../../build/Release/permafrost.node");
const spec = JSON.parse(process.argv[2]);
const shape = shapes[spec.shape];
const threads = spec.threads ?? 2;

const config = {
  vocabSize: shape.vocab,
  hiddenSize: shape.hidden,
  numLayers: shape.layers,
  numHeads: shape.heads,
  intermediateSize: shape.ffn,
  maxPositions: 512,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
  numLabels: spec.labels ?? 12,
  pooling: "cls",
  hiddenDropout: spec.dropout,
  attentionDropout: spec.dropout,
  classifierDropout: spec.dropout,
  threads,
  isa: spec.isa ?? "auto",
  cacheBytes: 2 ** 32,
};

const C = shape.hidden;
const sizes = {
  "embeddings.word_embeddings.weight": shape.vocab * C,
  "embeddings.position_embeddings.weight": 512 * C,
  "embeddings.token_type_embeddings.weight": 2 * C,
  "embeddings.LayerNorm.weight": C,
  "embeddings.LayerNorm.bias": C,
  "pooler.dense.weight": C * C,
  "pooler.dense.bias": C,
  "classifier.weight": config.numLabels * C,
  "classifier.bias": config.numLabels,
};
for (let i = 0; i < shape.layers; i++) {
  const p = `encoder.layer.${i}.`;
  for (const n of ["query", "key", "value"]) {
    sizes[`${p}attention.self.${n}.weight`] = C * C;
    sizes[`${p}attention.self.${n}.bias`] = C;
  }
  sizes[`${p}attention.output.dense.weight`] = C * C;
  sizes[`${p}intermediate.dense.weight`] = C * shape.ffn;
  sizes[`${p}intermediate.dense.bias`] = shape.ffn;
  sizes[`${p}output.dense.weight`] = C * shape.ffn;
  for (const n of ["attention.output.dense.bias", "output.dense.bias"]) sizes[p + n] = C;
  for (const n of ["attention.output", "output"]) {
    sizes[`${p}${n}.LayerNorm.weight`] = C;
    sizes[`${p}${n}.LayerNorm.bias`] = C;
  }
}
const weights = Object.fromEntries(
  Object.entries(sizes).map(([name, size], seed) => {
    const data = new Float32Array(size).fill(/LayerNorm.weight/.test(name) ? 1 : 0);
    if (/weight/.test(name) && !/LayerNorm/.test(name)) {
      let state = seed + 1;
      for (let i = 0; i < size; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        data[i] = (state / 2 ** 32 - 0.5) * 0.069; // sd 0.02, as BERT's initialisation
      }
    }
    return [name, data];
  }),
);

const model = await native.createModel(config, weights);
const rows = spec.rows ?? spec.batch * 12;
const lengths = lengthsOf(spec, rows, spec.bankingLengths);
const offsets = Int32Array.from([0, ...lengths]);
for (let i = 1; i < offsets.length; i++) offsets[i] += offsets[i - 1];
const ids = tokens(offsets[rows], shape.vocab);
const labels = Int32Array.from({ length: rows }, (_, i) => i % config.numLabels);
const dataset = await native.addDataset(model, { ids, types: new Int32Array(ids.length), offsets, labels });

const groups = shape.layers + 2;
const trainable = Array.from({ length: groups }, (_, g) => (spec.frozen > 0 ? g > spec.frozen : true));
const session = await native.createSession(
  model,
  [{ trainable, seed: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, maxGradNorm: 1, labelSmoothing: 0, dropout: spec.dropout > 0 }],
  { precision: spec.precision ?? "fp32", cache: spec.cache ?? "auto" },
);

const batches = Math.floor(rows / spec.batch);
let next = 0;
async function run(steps) {
  const order = [];
  for (let s = 0; s < steps; s++, next++) for (let b = 0; b < spec.batch; b++) order.push((next % batches) * spec.batch + b);
  return native.runSteps(session, {
    dataset,
    rows: [Int32Array.from(order)],
    offsets: [Int32Array.from({ length: steps + 1 }, (_, i) => i * spec.batch)],
    lanes: Int32Array.of(0),
    learningRates: new Float64Array(steps * groups).fill(2e-5),
  });
}

await run(batches); // warm: every batch once, which also fills the prefix cache
const steps = spec.steps ?? batches;
for (let sample = 0; sample < (spec.samples ?? 3); sample++) {
  const r = await run(steps);
  const rss = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ ms: (r.seconds * 1e3) / steps, tokens: r.tokens / steps, gflop: r.flops / steps / 1e9, rss_mb: rss }));
}
if (spec.profile) console.error(JSON.stringify(native.profile(session), null, 1));
await native.dispose(model);
