/** The command line from outside: the built program in child processes, on a tiny model. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SqliteStore } from "../../src/study/stores/sqlite.js";
import { pythonWith } from "../python.js";
import { writeColours, writeTinyModel } from "./tiny.js";

const main = path.join(import.meta.dirname, "../../dist/cli/main.mjs");
const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-cli-"));
const at = (name: string) => path.join(folder, name);
const data = ["--model", at("model"), "--train", at("train.jsonl"), "--validation", at("dev.jsonl")];
const search = [
  "search",
  ...data,
  "--test",
  at("test.jsonl"),
  "--n-trials",
  "8",
  "--num_train_epochs",
  "3",
  "--n-seeds",
  "2",
  "--quiet",
];

function permafrost(args: readonly string[], input?: string) {
  const run = spawnSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    ...(input === undefined ? {} : { input }),
  });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

beforeAll(async () => {
  await writeTinyModel(at("model"));
  writeColours(at("train.jsonl"), 48, 0);
  writeColours(at("dev.jsonl"), 30, 1);
  writeColours(at("test.jsonl"), 30, 2);
});
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
  test("ends in a report, a model and a study; the same again is bit for bit the same", () => {
    const [first, second] = ["s1", "s2"].map((dir, i) =>
      permafrost([...search, "--output_dir", at(dir), "--json", "--lanes", String(i + 1), "--threads", "1"]),
    );
    expect(first!.stderr).toBe("");
    expect(first!.status).toBe(0);
    const result = JSON.parse(first!.stdout);
    expect(result.trials).toBe(8);
    expect(result.comparison).not.toBeNull();
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
    // Up to the first optimised trial, lanes do not change what is proposed, and never what a trial gives.
    const values = (text: string) =>
      JSON.parse(text)
        .trialList.slice(0, 8)
        .filter((t: { arm: string }) => t.arm !== "optimized")
        .map((t: { value: number; rates: object }) => [t.value, t.rates]);
    expect(values(second!.stdout)).toEqual(values(first!.stdout));
    expect(permafrost(["report", at("s1/report.json")]).stdout).toContain("Does it beat plain fine-tuning?");
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

  test("killed at any moment, --resume ends with every planned trial finished once", async () => {
    const args = [...search, "--output_dir", at("killed")];
    for (const delay of [500, 700, 900, 1100]) {
      const child: ChildProcess = spawn(
        process.execPath,
        [main, ...args, ...(existsSync(at("killed/study.db")) ? ["--resume"] : [])],
        { stdio: "ignore" },
      );
      const exit = new Promise((resolve) => child.once("exit", resolve));
      await Promise.race([exit, new Promise((resolve) => setTimeout(resolve, delay))]);
      child.kill("SIGKILL");
      await exit;
    }
    const end = permafrost([...args, ...(existsSync(at("killed/study.db")) ? ["--resume"] : [])]);
    expect([end.status, end.stderr]).toEqual([0, ""]);
    const store = SqliteStore.open(`sqlite:///${at("killed/study.db")}`);
    for (const name of ["permafrost", "permafrost-uniform"]) {
      const trials = await store.trials((await store.findStudy(name))!.studyId);
      const counted = trials.filter((t) => t.systemAttrs["permafrost:interrupted"] !== true);
      expect(counted.map((t) => t.state).filter((s) => s !== "COMPLETE" && s !== "PRUNED")).toEqual([]);
      expect(counted).toHaveLength(8);
      expect(trials.map((t) => t.number)).toEqual(trials.map((_, i) => i));
    }
    await store.close();
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
  test.each([["--help"], ["search", "--help"], ["train", "--help"], ["predict", "--help"]])(
    "permafrost %s %s",
    (...args) => {
      const run = permafrost(args);
      expect(run.status).toBe(0);
      expect(run.stdout).toMatchSnapshot();
    },
  );

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
      () => ["demo", "--config", bad("demo.json", '{"nTrials":20}'), "--model", at("none")],
      2,
      "none: not a model folder",
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
    expect(run("doctor")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^ERR_ADDON_LOAD: [^{}]*$/),
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

  test("SIGINT stops with 130, and the study goes on", async () => {
    const child = spawn(
      process.execPath,
      [main, ...search, "--output_dir", at("stopped"), "--n-trials", "60"],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    const exit = new Promise((resolve) => child.once("exit", resolve));
    for (let waited = 0; !existsSync(at("stopped/study.db")) && waited < 10_000; waited += 50) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill("SIGINT");
    expect(await exit).toBe(130);
  });
});
