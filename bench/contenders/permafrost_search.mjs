// permafrost_search.mjs — our side of search.mjs: the per-layer arm of a search through the public API. One JSON line.
//   node permafrost_search.mjs '{"model": DIR, "train": F, "validation": F, "test": F, "trials": 6, "epochs": 10, "batch": 16}'
// No baseline arm, and "randomTrials": 0 leaves out the randomised one; as the peer does, a trial is evaluated after its
// last epoch and none is stopped early ("pruner": "median" lets the search do what it does by default). A search keeps no
// trial's weights, so to score the best on test it is trained once more: that, and reading model and data, counts in wall_s.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { loadModel, search } from "../../dist/index.mjs";
import { median } from "../support.mjs";

const spec = JSON.parse(process.argv[2]);
const pruner = spec.pruner ?? "none";
const outputDir = mkdtempSync(path.join(os.tmpdir(), "permafrost-bench-"));
try {
  const run = search({
    model: spec.model,
    train: spec.train,
    validation: spec.validation,
    test: spec.test,
    outputDir,
    nTrials: spec.trials,
    nRandomTrials: spec.randomTrials,
    numTrainEpochs: spec.epochs,
    perDeviceTrainBatchSize: spec.batch,
    precision: spec.precision ?? "fp32",
    seed: spec.seed ?? 0,
    threads: spec.threads ?? 2,
    evalStrategy: pruner === "none" ? "no" : "epoch",
    pruner,
    baseline: false,
    nSeeds: 1,
  });
  const seconds = [];
  for await (const event of run) if (event.type === "trialEnd") seconds.push(event.seconds);
  const result = await run;
  const wall = result.seconds.prepare + result.seconds.search + result.seconds.retrain;
  const { trials, study } = result.findings;
  console.log(
    JSON.stringify({
      trials: trials.length,
      wall_s: wall,
      search_s: result.seconds.search,
      trials_per_hour: (3600 * trials.length) / wall,
      median_trial_s: median(seconds),
      validation: result.bestTrial.value,
      test: await testAccuracy(path.join(outputDir, "model")),
      version: `permafrost ${study.versions.permafrost}`,
    }),
  );
} finally {
  rmSync(outputDir, { recursive: true, force: true });
}

/** Of the written model. The search scored it already, within wall_s, but says so only beside a baseline. */
async function testAccuracy(dir) {
  const rows = readFileSync(spec.test, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  const model = await loadModel(dir, { precision: spec.precision ?? "fp32", threads: spec.threads ?? 2 });
  const texts = rows.map(({ text, text_b }) => (text_b === undefined ? text : { text, textB: text_b }));
  const predictions = await model.predict(texts);
  await model[Symbol.asyncDispose]();
  return predictions.filter(({ label }, i) => label === String(rows[i].label)).length / rows.length;
}
