// run.mjs — alternates contenders on a case, one process each, and writes bench/results/contenders-<case>-<kernels>.json.
//   node bench/contenders/run.mjs --case minilm-banking [--case …] [--repeats 5] [--contenders permafrost,torch]
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, median, shapes } from "../support.mjs";
import { cases, lengthsOf } from "./cases.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: args } = parseArgs({
  options: {
    case: { type: "string", multiple: true },
    repeats: { type: "string", default: "3" },
    contenders: { type: "string" },
    threads: { type: "string", default: "2" },
    list: { type: "boolean", default: false },
  },
});
if (args.list || !args.case) {
  console.log(Object.keys(cases).join("\n"));
  process.exit(args.list ? 0 : 2);
}

const python = process.env.PERMAFROST_PYTHON ?? "python3";
const bankingLengths = JSON.parse(readFileSync(here("./banking-lengths.json"), "utf8"));

function contenders(spec) {
  const torch = (attention) => ({ command: python, script: "./torch_step.py", extra: { attention } });
  const all = {
    permafrost: { command: process.execPath, script: "./permafrost_step.mjs", extra: {} },
    "torch-sdpa": torch("sdpa"),
    "torch-eager": torch("eager"),
    tfjs: { command: process.execPath, script: "./tfjs_step.mjs", extra: {} },
  };
  const wanted = args.contenders?.split(",") ?? spec.contenders ?? ["permafrost", "torch"];
  return Object.entries(all).filter(([name]) => wanted.some((w) => name === w || name.startsWith(`${w}-`)));
}

for (const name of args.case) {
  const base = cases[name];
  if (!base) throw new Error(`--case: expected one of ${Object.keys(cases).join(", ")}, received ${name}`);
  const rows = base.lengths === "banking" ? bankingLengths.length : base.batch * 4;
  const spec = { ...base, rows, bankingLengths, threads: Number(args.threads), dims: shapes[base.shape] };
  spec.row_lengths = lengthsOf(spec, rows, bankingLengths);
  const samples = {};
  const versions = {};
  for (let repeat = 0; repeat < Number(args.repeats); repeat++) {
    for (const [contender, { command, script, extra }] of contenders(base)) {
      if (samples[contender] === null) continue;
      const flags = command === process.execPath ? ["--expose-gc"] : [];
      const run = spawnSync(command, [...flags, here(script), JSON.stringify({ ...spec, ...extra })], {
        encoding: "utf8",
        maxBuffer: 1 << 26,
      });
      if (run.status !== 0) {
        console.error(`${contender} left out: ${run.stderr?.trim().split("\n").at(-1) ?? run.error}`);
        samples[contender] = null;
        continue;
      }
      const lines = run.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      samples[contender] = [...(samples[contender] ?? []), ...lines];
      if (lines[0].version) versions[contender] = lines[0].version;
    }
  }
  const result = { case: name, spec: { ...base, rows, threads: spec.threads }, samples, summary: {} };
  for (const [contender, list] of Object.entries(samples)) {
    if (!list) continue;
    const ms = list.map((s) => s.ms);
    result.summary[contender] = {
      median_ms: median(ms),
      min_ms: Math.min(...ms),
      max_ms: Math.max(...ms),
      tokens_per_second: (list[0].tokens * 1e3) / median(ms),
      rss_mb: Math.max(...list.map((s) => s.rss_mb)),
      // The process's peak above the loaded model: gradients, moments and activations. Where little is trained, loading is the peak.
      ...(list[0].loaded_mb && base.mode !== "inference" && base.frozen === 0
        ? { grown_mb: Math.max(...list.map((s) => s.rss_mb)) - list[0].loaded_mb }
        : {}),
    };
  }
  const ours = result.summary.permafrost;
  const torch = Object.entries(result.summary)
    .filter(([n]) => n.startsWith("torch"))
    .map(([, s]) => s.median_ms);
  if (ours && torch.length) result.summary.ratio_to_best_torch = Math.min(...torch) / ours.median_ms;
  const torchMemory = Object.entries(result.summary)
    .filter(([n]) => n.startsWith("torch"))
    .map(([, s]) => s.grown_mb);
  if (ours?.grown_mb && torchMemory.length)
    result.summary.memory_ratio = ours.grown_mb / Math.min(...torchMemory);
  if (ours && result.summary.tfjs)
    result.summary.ratio_to_tfjs = result.summary.tfjs.median_ms / ours.median_ms;
  result.machine = { ...machine(), contenders: versions };
  result.reproduce = `node bench/contenders/run.mjs --case ${name} --repeats ${args.repeats} --threads ${args.threads}`;
  const suffix = args.threads === "2" ? "" : `-${args.threads}-threads`;
  const file = here(`../results/contenders-${name}${suffix}-${result.machine.isas[0]}.json`);
  console.log(name, JSON.stringify(result.summary, null, 1));
  if (args.contenders || Object.values(samples).includes(null)) {
    console.error(`${file}: not written, since not all contenders ran`);
    continue;
  }
  mkdirSync(here("../results"), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
}
