// freeze.bench.mjs — what freezing the bottom k layers saves: predicted by the plan's FLOPs, beside measured.
//   npm run bench -- freeze          writes results/freeze-<kernels>.json
// MiniLM-L6's shape; 16 × 128 tokens, and the banking questions of permafrost-demo in batches of 16. "cached" reads the
// frozen prefix per example, "recomputed" runs it each step. Timed by benchmark.js, one sample = every batch once; beside each
// k the step with nothing frozen is timed again, since a shared machine drifts in minutes.
import { readFileSync } from "node:fs";
import Benchmark from "benchmark";
import { laneOf, median, native, openModel, stepper, writeResult } from "./support.mjs";

const banking = JSON.parse(
  readFileSync(new URL("./contenders/banking-lengths.json", import.meta.url), "utf8"),
);
const texts = { "16 x 128 tokens": Array(64).fill(128), "banking questions": banking };

function time(fn) {
  return new Promise((resolve, reject) => {
    new Benchmark({
      defer: true,
      minSamples: 5,
      maxTime: 3,
      fn: (deferred) => fn().then(() => deferred.resolve(), reject),
      onComplete: ({ target }) => resolve({ ms: median(target.stats.sample) * 1e3, rme: target.stats.rme }),
      onError: ({ target }) => reject(target.error),
    }).run({ async: true });
  });
}

async function open(lengths, frozen, cache) {
  const opened = await openModel({ shape: "minilm-l6" }, lengths);
  const session = await native.createSession(opened.model, [laneOf(opened.shape, { frozen })], {
    precision: "fp32",
    cache,
  });
  const step = stepper(opened, session, { batch: 16 });
  const run = () => step(Math.floor(lengths.length / 16));
  await run(); // every batch once, which also fills the prefix cache
  return { run, flops: (await run()).flops, dispose: () => native.dispose(opened.model) };
}

const rows = [];
for (const [text, lengths] of Object.entries(texts)) {
  const batches = Math.floor(lengths.length / 16);
  for (const cache of ["auto", "off"]) {
    const whole = await open(lengths, 0, cache);
    for (let frozen = 1; frozen <= 6; frozen++) {
      const cut = await open(lengths, frozen, cache);
      const [base, timed] = [await time(whole.run), await time(cut.run)];
      await cut.dispose();
      const row = {
        text,
        prefix: cache === "auto" ? "cached" : "recomputed",
        frozen,
        ms_per_step: timed.ms / batches,
        rme_percent: timed.rme,
        unfrozen_ms_per_step: base.ms / batches,
        unfrozen_rme_percent: base.rme,
        gflop_per_step: cut.flops / batches / 1e9,
        predicted_speedup: whole.flops / cut.flops,
        measured_speedup: base.ms / timed.ms,
      };
      rows.push(row);
      console.log(
        `${text}  ${row.prefix.padEnd(10)} k=${frozen}  ${row.ms_per_step.toFixed(1)} of ${row.unfrozen_ms_per_step.toFixed(1)} ms  predicted ${row.predicted_speedup.toFixed(2)}×  measured ${row.measured_speedup.toFixed(2)}×`,
      );
    }
    await whole.dispose();
  }
}
writeResult("freeze", { rows });
