/** The command line from outside: the built program in child processes, on a tiny model. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Comparison } from "../../src/analysis/findings.js";
import type { LayerTrial } from "../../src/analysis/types.js";
import { SqliteStore } from "../../src/study/stores/sqlite.js";
import { pythonWith } from "../python.js";
import { timeless, timelessComparison } from "./timeless.js";
import { writeProblem } from "./tiny.js";

const main = path.join(import.meta.dirname, "../../dist/cli/main.mjs");
const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-cli-"));
const at = (name: string) => path.join(folder, name);
const data = ["--model", at("model"), "--train", at("train.jsonl"), "--validation", at("dev.jsonl")];
/** Four warm starts, two random draws, two proposals from results. */
const search = [
  "search",
  ...data,
  "--test",
  at("test.jsonl"),
  "--n-trials",
  "8",
  "--n-random-trials",
  "2",
  "--num_train_epochs",
  "3",
  "--n-seeds",
  "2",
  "--quiet",
];

function permafrost(args: readonly string[], input?: string) {
  const run = spawnSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    env: { ...process.env, COLUMNS: "" }, // a width of ours, not of the terminal the tests run in
    ...(input === undefined ? {} : { input }),
  });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

beforeAll(() => writeProblem(at));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("train and predict", () => {
  test("trains with a rate per layer, writes the folder, keeps what is frozen, predicts", () => {
    const rates = '{"embeddings":1e-2,"layer.0":0,"layer.1":1e-2,"head":1e-2}';
    const run = permafrost([
      "train",
      ...data,
      "--learning_rate_per_layer",
      rates,
      "--num_train_epochs",
      "20",
      "--logging-steps",
      "1",
      "--output_dir",
      at("out"),
      "--json",
    ]);
    expect(run.stderr).toContain("newly initialised");
    expect(run.status).toBe(0);
    const result = JSON.parse(run.stdout);
    expect(result.rates).toEqual(JSON.parse(rates));
    expect(result.validation.accuracy).toBe(1);
    const state = JSON.parse(readFileSync(at("out/trainer_state.json"), "utf8"));
    expect(state).toMatchObject({ global_step: 60, max_steps: 60, train_batch_size: 16 });
    expect(state.log_history.filter((e: object) => "loss" in e)).toHaveLength(60);
    expect(state.log_history[5].learning_rate_per_layer["layer.0"]).toBe(0);
    for (const file of [
      "model.safetensors",
      "config.json",
      "tokenizer.json",
      "README.md",
      "all_results.json",
      "layers.json",
    ]) {
      expect(existsSync(at(`out/${file}`)), file).toBe(true);
    }
    const predicted = permafrost(
      ["predict", "--model", at("out"), "--input", "-", "--json"],
      '{"text":"cat the blue dog"}\n{"text":"sun the red moon"}\n',
    );
    const rows = predicted.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows.map((row) => row.label)).toEqual(["blue", "red"]);
    expect(rows[0]).toMatchObject({
      score: expect.any(Number),
      logits: [expect.any(Number), expect.any(Number), expect.any(Number)],
    });
  });

  test("a run that goes on from a checkpoint in the middle of an epoch ends as one that never stopped", () => {
    const flags = [
      "train",
      ...data,
      "--learning_rate",
      "1e-2",
      "--num_train_epochs",
      "6",
      "--save_steps",
      "4",
      "--logging_steps",
      "1",
      "--quiet",
    ];
    expect(permafrost([...flags, "--output_dir", at("whole")]).status).toBe(0);
    const checkpoint = at("whole/checkpoint-4");
    expect([4, 8, 12, 16].filter((s) => !existsSync(at(`whole/checkpoint-${s}`)))).toEqual([]);
    expect(
      permafrost([...flags, "--output_dir", at("rest"), "--resume_from_checkpoint", checkpoint]).status,
    ).toBe(0);
    const bytes = (dir: string, file: string) => readFileSync(at(`${dir}/${file}`));
    expect(bytes("rest", "model.safetensors").equals(bytes("whole", "model.safetensors"))).toBe(true);
    // Without the entry that ends it: it holds clock times.
    const history = (dir: string) =>
      JSON.parse(bytes(dir, "trainer_state.json").toString()).log_history.filter(
        (e: object) => !("train_runtime" in e),
      );
    expect(history("rest")).toEqual(history("whole"));
    const other = permafrost([
      ...flags,
      "--output_dir",
      at("rest"),
      "--seed",
      "1",
      "--resume_from_checkpoint",
      checkpoint,
    ]);
    expect([other.status, other.stderr]).toEqual([2, expect.stringContaining("seed")]);
  });

  test("the folder opens in transformers with the same logits", (context) => {
    const python = pythonWith("transformers");
    if (!python) return context.skip("no Python with transformers (set PERMAFROST_PYTHON)");
    const ours = JSON.parse(
      permafrost(["predict", "--model", at("out"), "--input", "-", "--json"], '{"text":"cat the blue dog"}\n')
        .stdout,
    );
    const code = `
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
m = AutoModelForSequenceClassification.from_pretrained(sys.argv[1]).eval(); t = AutoTokenizer.from_pretrained(sys.argv[1])
with torch.no_grad(): l = m(**t("cat the blue dog", return_tensors="pt")).logits[0]
print(json.dumps(dict(logits=l.tolist(), label=m.config.id2label[int(l.argmax())])))`;
    const run = spawnSync(python, ["-c", code, at("out")], { encoding: "utf8" });
    const theirs = JSON.parse(run.stdout.trim().split("\n").at(-1)!);
    expect(theirs.label).toBe(ours.label);
    for (const [i, logit] of theirs.logits.entries()) expect(ours.logits[i]).toBeCloseTo(logit, 4);
  });
});

describe("search", () => {
  const run = (out: string, lanes: number) =>
    permafrost([...search, "--output_dir", at(out), "--json", "--lanes", String(lanes), "--threads", "1"]);
  const resultOf = (stdout: string) =>
    JSON.parse(stdout) as { trials: number; trialList: LayerTrial[]; comparison: Comparison };
  const weights = (out: string) => readFileSync(at(`${out}/model/model.safetensors`));

  test("ends in a report, a model and a study; the same again is bit for bit the same", () => {
    const [first, second] = ["s1", "s2"].map((out) => run(out, 2));
    expect(first!.stderr).toBe("");
    expect(first!.status).toBe(0);
    for (const file of [
      "report.html",
      "report.md",
      "report.json",
      "layers.json",
      "study.db",
      "model/model.safetensors",
    ]) {
      expect(existsSync(at(`s1/${file}`)), file).toBe(true);
    }
    const [one, two] = [resultOf(first!.stdout), resultOf(second!.stdout)];
    expect(one.trials).toBe(8);
    expect(one.trialList.map((t) => t.arm)).toEqual([
      ...["warm-start", "warm-start", "warm-start", "warm-start"],
      ...["random", "random", "optimized", "optimized"],
    ]);
    // Losses differ from trial to trial, so that another one's would be noticed.
    expect(new Set(one.trialList.map((t) => t.validationLoss)).size).toBe(8);
    expect(timeless(two.trialList)).toEqual(timeless(one.trialList));
    expect(timelessComparison(two.comparison)).toEqual(timelessComparison(one.comparison));
    expect(weights("s2").equals(weights("s1"))).toBe(true);
  });

  test("with other lanes: the same trials up to the first proposal, each with the same result to the bit", () => {
    const other = run("s3", 1);
    expect([other.status, other.stderr]).toEqual([0, ""]);
    const drawn = (trials: readonly LayerTrial[]) => timeless(trials.filter((t) => t.arm !== "optimized"));
    const here = JSON.parse(readFileSync(at("s1/report.json"), "utf8")) as { trials: LayerTrial[] };
    expect(drawn(resultOf(other.stdout).trialList)).toEqual(drawn(here.trials));
  });

  test("report renders a report.json again: on the terminal, as JSON, and with --html the page", () => {
    const [file, page] = [at("s1/report.json"), at("pages/again.html")];
    const shown = permafrost(["report", file, "--html", page]);
    expect([shown.status, shown.stderr]).toEqual([0, ""]);
    expect(shown.stdout).toContain("Does it beat plain fine-tuning?");
    expect(readFileSync(page, "utf8")).toBe(readFileSync(at("s1/report.html"), "utf8"));
    const json = permafrost(["report", file, "--json"]);
    expect(JSON.parse(json.stdout)).toEqual(JSON.parse(readFileSync(file, "utf8")));
  });

  test("a name that is taken is refused; --resume of a finished search repeats nothing", () => {
    const again = permafrost([...search, "--output_dir", at("s1")]);
    expect([again.status, again.stderr]).toEqual([4, expect.stringContaining("ERR_STORE_STUDY_EXISTS")]);
    const before = JSON.parse(readFileSync(at("s1/report.json"), "utf8"));
    const resumed = permafrost([
      ...search,
      "--output_dir",
      at("s1"),
      "--lanes",
      "1",
      "--threads",
      "1",
      "--resume",
      "--json",
    ]);
    expect(resumed.status).toBe(0);
    const after = JSON.parse(readFileSync(at("s1/report.json"), "utf8"));
    const pick = (r: { findings?: object } & Record<string, never>) => {
      const f = (r.findings ?? r) as { trials: object; comparisons: object; study: { testReadAt: object } };
      return [f.trials, f.comparisons, f.study.testReadAt];
    };
    expect(pick(after)).toEqual(pick(before));
  });

  test("no trial with a finite loss: exit code 3", () => {
    const run = permafrost([
      ...search,
      "--output_dir",
      at("nan"),
      "--learning_rate_range",
      "[1e30,1e31]",
      "--head_learning_rate_range",
      "[1e30,1e31]",
      "--warmup_steps",
      "0",
      "--max_grad_norm",
      "0",
    ]);
    expect([run.status, run.stderr]).toEqual([3, expect.stringContaining("ERR_NO_TRIAL")]);
  });
});

describe("help", () => {
  test.each([
    ["--help"],
    ["search", "--help"],
    ["train", "--help"],
    ["predict", "--help"],
    ["demo", "--help"],
  ])("permafrost %s %s", (...args) => {
    const run = permafrost(args);
    expect(run.status).toBe(0);
    expect(run.stdout).toMatchSnapshot();
  });

  test("a flag is understood with hyphens and with underscores", () => {
    const missing = (flag: string) => permafrost(["train", ...data, flag, "0"]).stderr;
    expect(missing("--max_length")).toBe(missing("--max-length"));
    expect(missing("--max_length")).toContain("max_length");
  });
});

describe("what goes wrong", () => {
  const bad = (name: string, text: string | Uint8Array) => {
    writeFileSync(at(name), text);
    return at(name);
  };
  test.each([
    ["unknown option", () => ["train", ...data, "--learnin_rate", "1"], 2, "unknown option"],
    [
      "missing file",
      () => ["train", ...data.slice(0, 2), "--train", at("none.jsonl"), "--validation", at("dev.jsonl")],
      2,
      "none.jsonl",
    ],
    [
      "a file of options over the demo's own, in another spelling",
      () => [
        ...["demo", "--config", bad("demo.json", '{"nTrials":20}'), "--model", at("none")],
        ...["--output_dir", at("demo")], // the default's may be taken by a demo that runs
      ],
      2,
      "none: not a model folder",
    ],
    [
      "names of other tools",
      () => ["search", ...data, "--lr", "1", "--n-jobs", "2"],
      2,
      "its name here is lanes",
    ],
    [
      "a list in several words",
      () => ["train", ...data, "--freeze", "embeddings", "layer.0"],
      2,
      "separate the parts of a list by commas",
    ],
    [
      "the output folder of a search for its model",
      () => ["predict", "--model", at("s1"), "--input", at("dev.jsonl")],
      2,
      `did you mean ${at("s1/model")}?`,
    ],
    ["several bad values", () => ["train", ...data, "--seed", "x", "--max_length", "1"], 2, "2 problems"],
    [
      "all frozen",
      () => ["train", ...data, "--freeze", "embeddings,layer.0,layer.1,head"],
      2,
      "ERR_NOTHING_TO_TRAIN",
    ],
    [
      "label unseen in training",
      () => [
        "train",
        ...data.slice(0, 4),
        "--validation",
        bad("unseen.jsonl", '{"text":"a","label":"violet"}\n'),
      ],
      2,
      "violet",
    ],
    [
      "one class",
      () => [
        "train",
        ...data.slice(0, 2),
        "--train",
        bad("one.jsonl", '{"text":"a","label":"red"}\n'),
        "--validation",
        at("dev.jsonl"),
      ],
      2,
      "ERR_ONE_CLASS",
    ],
    [
      "no UTF-8",
      () => [
        "train",
        ...data.slice(0, 2),
        "--train",
        bad("bytes.csv", Buffer.from("text,label\n\xff\xfe,1\n", "latin1")),
        "--validation",
        at("dev.jsonl"),
      ],
      2,
      "bytes.csv",
    ],
    [
      "no classifier to predict with",
      () => ["predict", "--model", at("model"), "--input", at("dev.jsonl")],
      2,
      "ERR_NO_CLASSIFIER",
    ],
    [
      "storage that is no database",
      () => [...search, "--output_dir", at("x"), "--storage", `sqlite:///${bad("no.db", "x".repeat(3000))}`],
      4,
      "ERR_STORE_NOT_A_STUDY",
    ],
    [
      "loss that is not finite",
      () => [
        "train",
        ...data,
        "--learning_rate",
        "1e30",
        "--max_grad_norm",
        "0",
        "--warmup_steps",
        "0",
        "--output_dir",
        at("never"),
      ],
      1,
      "ERR_NAN_LOSS",
    ],
  ] as [string, () => string[], number, string][])("%s", (_, args, status, text) => {
    const run = permafrost(args());
    expect([run.status, run.stderr]).toEqual([status, expect.stringContaining(text)]);
    expect(run.stdout).toBe("");
    expect(existsSync(at("never"))).toBe(false);
  });

  test("without the addon, help is still there, and its absence is said in words", () => {
    const run = (arg: string) =>
      spawnSync(process.execPath, [main, arg], {
        ...{ encoding: "utf8", env: { ...process.env, PERMAFROST_ADDON: at("none.node") } },
      });
    expect(run("--help").status).toBe(0);
    expect(run("--version")).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(run("doctor")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^ERR_ADDON_LOAD: [^{}]*$/),
      stdout: expect.stringMatching(/^permafrost +\d[\s\S]*^platform +\w+[\s\S]*^healthy +false$/m),
    });
  });

  test("SIGINT ends a command that writes no files at once: predict that waits for its input", async () => {
    const args = ["predict", "--model", at("model"), "--input", "-"];
    const child = spawn(process.execPath, [main, ...args], { stdio: ["pipe", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const exit = new Promise((resolve) => child.once("exit", resolve));
    // More than a pipe holds: when it is written, the child reads.
    await new Promise((resolve) => child.stdin.write('{"text":"cat"}\n'.repeat(50_000), resolve));
    child.kill("SIGINT");
    expect([await exit, stderr]).toEqual([130, "stopped by SIGINT\n"]);
  });
});

describe("options from a file", () => {
  test("--config takes effect, in any spelling; flags win over it", () => {
    const config = { maxSteps: 3, "weight-decay": 0.5, seed: 7, model: at("nowhere"), logging_steps: 1 };
    writeFileSync(at("train.json"), JSON.stringify(config));
    const args = ["train", "--config", at("train.json"), ...data, "--max-steps", "2", "--json", "--quiet"];
    const run = permafrost([...args, "--output_dir", at("configured")]);
    expect([run.status, run.stderr]).toEqual([0, ""]);
    expect(JSON.parse(run.stdout).steps).toBe(2);
    const card = readFileSync(at("configured/README.md"), "utf8");
    for (const [name, value] of Object.entries({ max_steps: 2, weight_decay: 0.5, seed: 7 }))
      expect(card).toContain(`| \`${name}\` | ${value} |`);
    expect(card).not.toContain(folder);
    expect(card).not.toContain("base_model:"); // a folder is no id of the hub
  });

  test.each([
    [
      "a list",
      "[]",
      /ERR_CONFIG_FILE: .*odd\.json: not read\n +--config +expected a file holding one JSON object/,
    ],
    ["no file", null, /ERR_CONFIG_FILE.*ENOENT/s],
    [
      "an unknown key",
      '{"seeed":1}',
      /ERR_CONFIG: 1 problem in .*odd\.json and the command line\n +seeed .*did you mean seed/,
    ],
  ])("%s: exit code 2, and the file is named", (_, text, message) => {
    rmSync(at("odd.json"), { force: true });
    if (text !== null) writeFileSync(at("odd.json"), text);
    const run = permafrost(["train", "--config", at("odd.json"), ...data, "--output_dir", at("never")]);
    expect([run.status, run.stdout, run.stderr]).toEqual([2, "", expect.stringMatching(message)]);
    expect(run.stderr).not.toContain("    at ");
    expect(existsSync(at("never"))).toBe(false);
  });
});

describe("doctor", () => {
  test("exit code 0 on a machine that computes right; every operation was compared with the reference", () => {
    const json = permafrost(["doctor", "--json"]);
    expect([json.status, json.stderr]).toEqual([0, ""]);
    const { healthy, selfTest, node, threads } = JSON.parse(json.stdout);
    expect([healthy, node]).toEqual([true, process.version]);
    expect(threads).toBeGreaterThan(0);
    expect(Object.keys(selfTest)).toEqual(
      expect.arrayContaining(["linear_forward", "attention_backward", "by_head_reduce", "layernorm_forward"]),
    );
    for (const [op, difference] of Object.entries<number>(selfTest)) {
      expect(difference, op).toBeGreaterThanOrEqual(0);
      expect(difference, op).toBeLessThan(0.02);
    }
    const words = permafrost(["doctor"]);
    expect([words.status, words.stderr]).toEqual([0, ""]);
    expect(words.stdout).toMatch(/^healthy +true$/m);
    for (const op of Object.keys(selfTest)) expect(words.stdout).toContain(`  ${op} `);
  });
});

test("--progress json is JSON lines to the end: events, then the result", () => {
  const args = ["train", "--model", at("model"), ...data, "--max-steps", "1", "--output_dir", at("lines")];
  const run = permafrost([...args, "--progress", "json", "--json", "--quiet"]);
  expect([run.status, run.stderr]).toEqual([0, ""]);
  const lines = run.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map(({ type }) => type)).toContain("step");
  expect(lines.at(-1)).toMatchObject({ type: "result", steps: 1, outputDir: at("lines") });
});

describe("a signal", () => {
  /** A search that gets these signals, one after the other, when its first trial starts. */
  function stopped(out: string, signals: string, more: readonly string[], after = 0) {
    const preload = ["--require", path.join(import.meta.dirname, "signal-at.cjs")];
    const args = [...search, "--output_dir", at(out), "--progress", "json", ...more];
    const { status, stderr } = spawnSync(process.execPath, [...preload, main, ...args], {
      encoding: "utf8",
      timeout: 50_000,
      env: {
        ...process.env,
        ...{ PERMAFROST_TEST_SIGNAL_AT: '"type":"trialStart"', PERMAFROST_TEST_SIGNALS: signals },
        PERMAFROST_TEST_SIGNAL_AFTER: String(after),
      },
    });
    return { status, stderr };
  }
  async function statesOf(out: string) {
    await using store = await SqliteStore.open(`sqlite:///${at(`${out}/study.db`)}`);
    const trials = await store.trials((await store.findStudy("permafrost"))!.studyId);
    const interrupted = trials.filter((t) => t.systemAttrs["permafrost:interrupted"] === true);
    return { states: new Set(trials.map((t) => t.state)), interrupted: interrupted.length };
  }

  test("SIGINT stops with 130 and SIGTERM with 143: no trial is left running, and the study goes on", async () => {
    // Two trials of 300 steps, side by side.
    const few = ["--n-trials", "2", "--num_train_epochs", "100", "--n-seeds", "1", "--baseline", "false"];
    const resume = [...few, "--lanes", "2", "--resume"];
    for (const [signal, code] of [["SIGINT", 130] as const, ["SIGTERM", 143] as const]) {
      const run = stopped("stopped", signal, resume);
      expect(run).toEqual({ status: code, stderr: `stopped by ${signal}; --resume goes on with it\n` });
      // Both trials failed and are queued again.
      const interrupted = signal === "SIGINT" ? 2 : 4;
      expect(await statesOf("stopped")).toEqual({ states: new Set(["FAIL", "WAITING"]), interrupted });
    }
    const end = permafrost([...search, "--output_dir", at("stopped"), ...resume]);
    expect([end.status, end.stderr]).toEqual([0, ""]);
    expect(await statesOf("stopped")).toEqual({ states: new Set(["FAIL", "COMPLETE"]), interrupted: 4 });
  });

  test("a second one does not wait for the step that runs: the trial is still entered as running", async () => {
    // A step of some tenths of a second, also where cores are fast: 1,024 rows of 120 words.
    const words = Array.from({ length: 120 }, () => "cat").join(" ");
    const rows = ["red", "green"].map((label) => `${JSON.stringify({ text: `${label} ${words}`, label })}\n`);
    writeFileSync(at("long.jsonl"), rows.join("").repeat(512));
    const slow = ["--train", at("long.jsonl"), "--validation", at("long.jsonl"), "--test", at("long.jsonl")];
    const batch = ["--per_device_train_batch_size", "1024", "--max_steps", "1000", "--lanes", "1"];
    // Not before its first step: else nothing runs that a signal could wait for. A thousand steps take minutes.
    const run = stopped("twice", "SIGINT,SIGTERM", [...slow, ...batch], 1000);
    expect(run).toEqual({ status: 143, stderr: "stopped by SIGTERM; --resume goes on with it\n" });
    const { states, interrupted } = await statesOf("twice");
    expect([states.has("RUNNING"), interrupted]).toEqual([true, 0]);
  });
});
