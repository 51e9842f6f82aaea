// search.mjs — whole searches, ours against Optuna's over transformers and PyTorch, in turns; writes
// bench/results/search-<case>-<kernels>.json with trials an hour, the best validation accuracy and its test accuracy.
//   node bench/contenders/search.mjs --case banking [--case …] [--repeats 3] [--trials 20] [--epochs 10] [--bf16] [--random]
// Both do the same: N trials of per-layer rates with freezing on the same rows, batch 16, AdamW with 10 % warm-up and linear
// decay, weight decay 0.01, clipping to 1, dropout of the model, accuracy on validation after the last epoch.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, median } from "../support.mjs";
import { searchCases, writeCut } from "./search_cases.mjs";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const { values: args } = parseArgs({
  options: {
    case: { type: "string", multiple: true },
    model: { type: "string", default: here("../../packages/demo/model") },
    repeats: { type: "string", default: "3" },
    trials: { type: "string", default: "20" },
    epochs: { type: "string", default: "10" },
    batch: { type: "string", default: "16" },
    threads: { type: "string", default: "2" },
    // Products of both sides in bf16.
    bf16: { type: "boolean", default: false },
    // Batches of torch: in random order, as its Trainer's default, instead of texts of like length together. Ours have no padding.
    random: { type: "boolean", default: false },
    // Ours only: "median" stops lagging trials, as `permafrost search` does by default; the peer finishes all.
    pruner: { type: "string", default: "none" },
    list: { type: "boolean", default: false },
  },
});
if (args.list || !args.case) {
  console.log(Object.keys(searchCases).join("\n"));
  process.exit(args.list ? 0 : 2);
}

const ours = { command: process.execPath, script: "./permafrost_search.mjs" };
const contenders = {
  permafrost: ours,
  // Without the arm that is there to say which layers matter: as the peer, which has none.
  "permafrost-no-random-arm": { ...ours, extra: { randomTrials: 0 } },
  "torch-optuna": { command: process.env.PERMAFROST_PYTHON ?? "python3", script: "./optuna_search.py" },
};

function runOne({ command, script, extra }, spec) {
  const run = spawnSync(command, [here(script), JSON.stringify({ ...spec, ...extra })], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (run.status === 0) return JSON.parse(run.stdout.trim().split("\n").at(-1));
  throw new Error(`${script}: ${run.error ?? `exit status ${run.status}`}\n${run.stderr ?? ""}`);
}

function summarise(samples) {
  const of = (key) => samples.map((sample) => sample[key]);
  const perHour = of("trials_per_hour");
  return {
    median_trials_per_hour: median(perHour),
    min_trials_per_hour: Math.min(...perHour),
    max_trials_per_hour: Math.max(...perHour),
    median_trial_s: median(of("median_trial_s")),
    validation: of("validation"),
    test: of("test"),
    median_test: median(of("test")),
  };
}

/** Written after every seed: what a long run has is kept when it is stopped. */
function write(name, rows, recipe, samples) {
  const summary = Object.fromEntries(Object.entries(samples).map(([who, list]) => [who, summarise(list)]));
  for (const [contender, list] of Object.entries(samples)) {
    if (contender === "torch-optuna") continue;
    // To the peer, of the same seed and turn, so that a drift of the machine falls out.
    const ratios = list.map(
      (sample, i) => sample.trials_per_hour / samples["torch-optuna"][i].trials_per_hour,
    );
    summary[contender].ratio = { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
  }
  const versions = Object.fromEntries(Object.entries(samples).map(([who, [first]]) => [who, first.version]));
  const flags = [
    `--repeats ${samples["torch-optuna"].length}`,
    ...["trials", "epochs", "batch", "threads"].map((key) => `--${key} ${args[key]}`),
    ...["bf16", "random"].filter((key) => args[key]).map((key) => `--${key}`),
    ...(args.pruner === "none" ? [] : [`--pruner ${args.pruner}`]),
  ];
  const result = {
    case: name,
    rows,
    recipe,
    summary,
    samples,
    machine: { ...machine(), contenders: versions },
    reproduce: `node bench/contenders/search.mjs --case ${name} ${flags.join(" ")}`,
  };
  const pruner = args.pruner !== "none" && args.pruner;
  const variant = [name, args.bf16 && "bf16", args.random && "random", pruner, result.machine.isas[0]];
  const file = here(`../results/search-${variant.filter(Boolean).join("-")}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  return summary;
}

for (const name of args.case) {
  if (!searchCases[name])
    throw new Error(`--case: expected one of ${Object.keys(searchCases).join(", ")}, received ${name}`);
  const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-search-"));
  try {
    const { rows, ...files } = writeCut(searchCases[name], folder);
    const recipe = {
      trials: Number(args.trials),
      epochs: Number(args.epochs),
      batch: Number(args.batch),
      threads: Number(args.threads),
      precision: args.bf16 ? "bf16" : "fp32",
      random: args.random,
      pruner: args.pruner,
    };
    const samples = Object.fromEntries(Object.keys(contenders).map((contender) => [contender, []]));
    let summary;
    for (let seed = 0; seed < Number(args.repeats); seed++) {
      for (const [contender, how] of Object.entries(contenders)) {
        const sample = runOne(how, { model: args.model, ...files, ...recipe, seed });
        samples[contender].push({ seed, ...sample });
        console.error(`${name} ${contender} seed ${seed}: ${JSON.stringify(sample)}`);
      }
      summary = write(name, rows, recipe, samples);
    }
    console.log(name, JSON.stringify(summary, null, 1));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
