// permafrost_step.mjs — times training steps of our core on a case, or with "mode": "inference" the forward of the same
// batches. One JSON line a sample: {ms, tokens, gflop} per step, the process's peak memory so far, and its memory when the model
// was loaded.
//   node permafrost_step.mjs '{"shape":"minilm-l6","batch":16,"row_lengths":[…],"frozen":0,"dropout":0}'    run.mjs calls it
import { laneOf, native, openModel, stepper } from "../support.mjs";

const spec = JSON.parse(process.argv[2]);
const opened = await openModel(spec, spec.row_lengths);
const session = await native.createSession(
  opened.model,
  [laneOf(opened.shape, spec.mode === "inference" ? { frozen: opened.shape.layers } : spec)],
  {
    precision: spec.precision ?? "fp32",
    cache: spec.mode === "inference" ? "off" : (spec.cache ?? "auto"),
    packWeights: spec.mode === "inference",
    inPlace: spec.mode !== "inference", // as fine-tuning does, and torch
  },
);
const batches = Math.floor(opened.rows / spec.batch);
const run = spec.mode === "inference" ? forward : stepper(opened, session, spec);
let next = 0;

/** Logits of `steps` batches, one call each as a service would. */
async function forward(steps) {
  const begin = performance.now();
  let tokens = 0;
  for (let s = 0; s < steps; s++, next++) {
    const first = (next % batches) * spec.batch;
    const rows = Int32Array.from({ length: spec.batch }, (_, i) => first + i);
    await native.evaluate(session, { lane: 0, dataset: opened.dataset, rows });
    tokens += spec.row_lengths.slice(first, first + spec.batch).reduce((a, b) => a + b, 0);
  }
  return { seconds: (performance.now() - begin) / 1e3, tokens, flops: 0 };
}

// What the weights were copied from goes; array buffers do so a little later.
for (let i = 0; i < 3; i++) {
  globalThis.gc?.();
  await new Promise((done) => setTimeout(done, 100));
}
const loaded_mb = process.memoryUsage().rss / 2 ** 20;
await run(batches); // warm: every batch once, which also fills the prefix cache
const steps = spec.steps ?? batches;
for (let sample = 0; sample < (spec.samples ?? 3); sample++) {
  const r = await run(steps);
  console.log(
    JSON.stringify({
      ms: (r.seconds * 1e3) / steps,
      tokens: r.tokens / steps,
      gflop: r.flops / steps / 1e9,
      rss_mb: process.resourceUsage().maxRSS / 1024,
      loaded_mb,
    }),
  );
}
if (spec.profile) console.error(JSON.stringify(native.profile(session), null, 1));
await native.dispose(opened.model);
