// freeze.bench.mjs — what freezing the bottom k layers saves: predicted by the plan's FLOPs, beside measured.
//   npm run bench -- freeze          writes results/freeze-<kernels>.json
// MiniLM-L6's shape; 16 × 128 tokens, and the banking questions of permafrost-demo in batches of 16. "cached" reads the
// frozen prefix per example, "recomputed" runs it each step. Timed by benchmark.js, one sample = every batch once.
import { readFileSync } from "node:fs";
import Benchmark from "benchmark";
import { laneOf, native, openModel, stepper, writeResult } from "./support.mjs";

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
      onComplete: ({ target }) =>
        resolve({
          ms: target.stats.mean * 1e3,
          rme: target.stats.rme,
          samples: target.stats.sample.map((s) => s * 1e3),
        }),
      onError: ({ target }) => reject(target.error),
    }).run({ async: true });
  });
}

const rows = [];
for (const [text, lengths] of Object.entries(texts)) {
  for (const cache of ["auto", "off"]) {
    let base;
    for (let frozen = 0; frozen <= 6; frozen++) {
      const opened = await openModel({ shape: "minilm-l6" }, lengths);
      const session = await native.createSession(opened.model, [laneOf(opened.shape, { frozen })], {
        precision: "fp32",
        cache,
      });
      const run = stepper(opened, session, { batch: 16 });
      const batches = Math.floor(lengths.length / 16);
      await run(batches);
      const { flops } = await run(batches);
      const timed = await time(() => run(batches));
      base ??= { ms: timed.ms, flops };
      const row = {
        text,
        prefix: cache === "auto" ? "cached" : "recomputed",
        frozen,
        ms_per_step: timed.ms / batches,
        rme_percent: timed.rme,
        gflop_per_step: flops / batches / 1e9,
        predicted_speedup: base.flops / flops,
        measured_speedup: base.ms / timed.ms,
      };
      rows.push(row);
      console.log(
        `${text}  ${row.prefix.padEnd(10)} k=${frozen}  ${row.ms_per_step.toFixed(1)} ms ±${timed.rme.toFixed(1)} %  predicted ${row.predicted_speedup.toFixed(2)}×  measured ${row.measured_speedup.toFixed(2)}×`,
      );
      await native.dispose(opened.model);
    }
  }
}
writeResult("freeze", { rows });
