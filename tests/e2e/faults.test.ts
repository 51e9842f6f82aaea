/** What goes wrong around a command: its reader leaves, its disk is full, its input or an option is not what it should be. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeProblem } from "./tiny.js";

const dist = path.join(import.meta.dirname, "../../dist");
const main = path.join(dist, "cli/main.mjs");
// Not a plain import: the types are checked before anything is built.
const esm: typeof import("../../src/index.js") = await import(path.join(dist, "index.mjs"));
const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-faults-"));
const at = (name: string) => path.join(folder, name);
const data = ["--model", at("model"), "--train", at("train.jsonl"), "--validation", at("dev.jsonl")];
const train = ["train", ...data, "--num_train_epochs", "2"];

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const permafrost = (args: readonly string[]): Outcome =>
  spawnSync(process.execPath, [main, ...args], { encoding: "utf8", timeout: 50_000 });

/** As in `permafrost … | head -1`: reads a line of stdout, then goes away. */
function readOneLine(args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
    if (stdout.includes("\n")) child.stdout.destroy();
  });
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, stdout, stderr })));
}

beforeAll(async () => {
  await writeProblem(at);
  expect(permafrost([...train, "--output_dir", at("trained"), "--quiet"]).status).toBe(0);
  writeFileSync(at("many.jsonl"), '{"text":"cat the blue dog"}\n'.repeat(20_000));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("stdout", () => {
  test("closed while training: the model is written all the same", async () => {
    const args = [...train, "--num_train_epochs", "20", "--progress", "json", "--output_dir", at("piped")];
    const run = await readOneLine(args);
    expect(run.status).toBe(0);
    expect(run.stderr).toContain("standard output was closed");
    expect(existsSync(at("piped/model.safetensors"))).toBe(true);
    expect(JSON.parse(readFileSync(at("piped/trainer_state.json"), "utf8")).global_step).toBe(60);
  });

  test("closed during a search: the report is written all the same", async () => {
    const more = [
      "--n-trials",
      "4",
      "--n-seeds",
      "1",
      "--num_train_epochs",
      "1",
      "--progress",
      "json",
      "--quiet",
    ];
    const run = await readOneLine([
      "search",
      ...data,
      "--test",
      at("test.jsonl"),
      ...more,
      "--output_dir",
      at("s"),
    ]);
    expect([run.status, run.stderr]).toEqual([0, ""]);
    expect(existsSync(at("s/report.html"))).toBe(true);
    expect(existsSync(at("s/model/model.safetensors"))).toBe(true);
  });

  test("closed during predict: a quiet end", async () => {
    const run = await readOneLine(["predict", "--model", at("trained"), "--input", at("many.jsonl")]);
    expect([run.status, run.stderr]).toEqual([0, ""]);
  });

  test.skipIf(!existsSync("/dev/full")).each([
    ["predict", () => ["predict", "--model", at("trained"), "--input", at("test.jsonl")]],
    ["train, which still writes its model", () => [...train, "--quiet", "--output_dir", at("full")]],
  ])("no space for the output of %s: ERR_WRITE, exit code 1", (_, args) => {
    const quoted = [process.execPath, main, ...args()].map((part) => `'${part}'`).join(" ");
    const run = spawnSync("sh", ["-c", `${quoted} > /dev/full`], { encoding: "utf8" });
    expect([run.status, run.stderr]).toEqual([1, expect.stringContaining("ERR_WRITE: standard output")]);
    expect(run.stderr).toContain("no space left");
    expect(run.stderr).not.toContain("    at ");
    expect(existsSync(at("full/model.safetensors"))).toBe(args()[0] === "train");
  });
});

describe("a broken file", () => {
  test("checkpoint: ERR_CHECKPOINT names the file, exit code 2", () => {
    const saving = [...train, "--save_steps", "1", "--quiet"];
    expect(permafrost([...saving, "--output_dir", at("saved")]).status).toBe(0);
    const checkpoint = [1, 2, 3, 4, 5].map((s) => at(`saved/checkpoint-${s}`)).find((c) => existsSync(c))!;
    const resume = () =>
      permafrost([...saving, "--output_dir", at("resumed"), "--resume_from_checkpoint", checkpoint]);
    truncateSync(path.join(checkpoint, "lane_state.bin"), 1000);
    const cut = resume();
    expect([cut.status, cut.stderr]).toEqual([
      2,
      expect.stringMatching(/^ERR_CHECKPOINT[\s\S]*lane_state\.bin/),
    ]);
    expect(cut.stderr).toContain("received 1000 bytes");
    writeFileSync(path.join(checkpoint, "permafrost_checkpoint.json"), "\u0001garbage");
    const garbage = resume();
    expect([garbage.status, garbage.stderr]).toEqual([
      2,
      expect.stringMatching(/^ERR_CHECKPOINT[\s\S]*permafrost_checkpoint\.json/),
    ]);
    expect(garbage.stderr).not.toContain("    at ");
    expect(existsSync(at("resumed"))).toBe(false);
  });

  test("report: ERR_REPORT names the key, exit code 2", () => {
    writeFileSync(at("other.json"), '{"study":{},"trials":[]}');
    const run = permafrost(["report", at("other.json")]);
    expect([run.status, run.stderr]).toEqual([2, expect.stringMatching(/^ERR_REPORT[\s\S]*study\.name/)]);
    expect(run.stderr).not.toContain("    at ");
  });

  // mkdir with `recursive` goes round in circles there on Node 20.
  test.skipIf(process.platform !== "linux")(
    "an output folder that nobody can make: ERR_OUTPUT_DIR at once",
    () => {
      const run = permafrost([...train, "--quiet", "--output_dir", "/proc/permafrost/out"]);
      expect([run.status, run.stderr]).toEqual([2, expect.stringContaining("ERR_OUTPUT_DIR")]);
    },
  );
});

describe("options", () => {
  const isas = esm.listDevices()[0]!.isas;
  const missing = ["avx512", "avx2"].find((isa) => !isas.includes(isa));

  test.skipIf(missing === undefined)(
    "kernels this machine does not have: the option is named, exit code 2",
    () => {
      const run = permafrost([...train, "--quiet", "--isa", missing!, "--output_dir", at("isa")]);
      expect([run.status, run.stderr]).toEqual([
        2,
        expect.stringMatching(/^ERR_CONFIG[\s\S]* isa +expected auto or/),
      ]);
      const predicted = permafrost([
        "predict",
        "--model",
        at("trained"),
        "--input",
        at("test.jsonl"),
        "--isa",
        missing!,
      ]);
      expect(predicted.status).toBe(2);
    },
  );

  test.each([
    ["--threads", "100000", /threads +expected a number ≤ 1024, received 100000/],
    ["--progress", "bogus", /'bogus' is invalid. Allowed choices are json/],
    ["--fp16", "true", /fp16 .*use precision bf16/],
    ["--group-by-length", "true", /group_by_length .*batches are packed/],
  ])("%s %s: exit code 2 and what to do", (flag, value, message) => {
    const run = permafrost([...train, flag, value, "--output_dir", at("options")]);
    expect([run.status, run.stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  test("--bf16 is a name of today, --warmup_ratio an old one", () => {
    const run = permafrost([...train, "--bf16", "--warmup_ratio", "0.2", "--output_dir", at("names")]);
    expect(run.status).toBe(0);
    expect(run.stderr).toContain("warmup_ratio is an old name of warmup_steps");
    expect(run.stderr).not.toContain("bf16");
  });
});

test("SIGINT: what to do next is said for the command that was stopped", async () => {
  const args = [
    ...train,
    "--num_train_epochs",
    "100000",
    "--progress",
    "json",
    "--output_dir",
    at("stopped"),
  ];
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  child.stdout.once("data", () => child.kill("SIGINT")); // the second would not wait
  child.stdout.resume();
  const status = await new Promise((resolve) => child.once("close", resolve));
  expect(status).toBe(130);
  expect(stderr).toContain("--resume_from_checkpoint");
  expect(stderr).not.toContain("--resume ");
});

test("require gives what import gives, and nothing of the bundler's", () => {
  const require = createRequire(import.meta.url);
  expect(Object.keys(require(path.join(dist, "index.cjs"))).sort()).toEqual(Object.keys(esm).sort());
  expect(Object.keys(require(path.join(dist, "tfjs.cjs"))).sort()).toEqual(["fromTensor", "toTensor"]);
});
