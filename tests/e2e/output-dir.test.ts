/** Whose an output folder is: runs of one process, of its threads and of other processes that would write into one. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeProblem } from "./tiny.js";

const dist = path.join(import.meta.dirname, "../../dist");
const main = path.join(dist, "cli/main.mjs");
// Not a plain import: the types are checked before anything is built.
const { fineTune, search }: typeof import("../../src/index.js") = await import(path.join(dist, "index.mjs"));
const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-output-"));
const at = (name: string) => path.join(folder, name);
const json = (name: string) => JSON.parse(readFileSync(at(name), "utf8"));
const data = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
const short = { ...data, maxSteps: 30 };
const endless = { ...data, maxSteps: 1_000_000, evalStrategy: "no" as const };
const claims = (dir: string) => readdirSync(at(dir)).filter((name) => /claim|tmp/.test(name));

beforeAll(() => writeProblem(at));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("runs of one process", () => {
  test("of two at once into one folder one is refused, and every file is of the other", async () => {
    const rates = [1e-2, 2e-2];
    const runs = rates.map((learningRate) => fineTune({ ...short, learningRate, outputDir: at("both") }));
    const ended = await Promise.allSettled(runs);
    const won = ended.findIndex(({ status }) => status === "fulfilled");
    expect(ended[1 - won]).toMatchObject({
      status: "rejected",
      reason: {
        ...{ name: "ConfigError", code: "ERR_OUTPUT_DIR" },
        message: expect.stringContaining(`another run of this process (${process.pid})`),
      },
    });
    expect(json("both/layers.json").learning_rate_per_layer.head).toBe(rates[won]);
    expect(readFileSync(at("both/README.md"), "utf8")).toContain(`| head | ${rates[won]} |`);
    expect(claims("both")).toEqual([]);

    // One after the other is allowed. The first had a test set, the second says nothing of one.
    await fineTune({ ...short, test: at("test.jsonl"), outputDir: at("both") });
    expect(json("both/all_results.json")).toMatchObject(json("both/test_results.json"));
    await fineTune({ ...short, maxSteps: 5, outputDir: at("both") });
    expect(existsSync(at("both/test_results.json"))).toBe(false);
    expect(json("both/trainer_state.json").global_step).toBe(5);
    expect(Object.keys(json("both/all_results.json"))).not.toContain("test_accuracy");
  });

  test("a search has its folder too, and the model in it; an error and an abort give it back", async () => {
    const options = { ...data, test: at("test.jsonl"), nTrials: 2, nSeeds: 1, numTrainEpochs: 1 };
    const run = search({ ...options, outputDir: at("searched") });
    const events = run[Symbol.asyncIterator]();
    for (let e = await events.next(); e.value?.type !== "trialStart"; ) e = await events.next(); // it has its folder now
    await expect(fineTune({ ...short, outputDir: at("searched") })).rejects.toThrow(
      "another run writes there",
    );
    await run;
    for (const dir of ["searched", "searched/model"]) expect(claims(dir)).toEqual([]);
    expect(existsSync(at("searched/report.json"))).toBe(true);
    await expect(search({ ...options, outputDir: at("searched") })).rejects.toMatchObject({
      name: "StoreError",
    });
    expect(claims("searched")).toEqual([]);

    await expect(fineTune({ ...short, model: at("none"), outputDir: at("failed") })).rejects.toThrow();
    const stop = new AbortController();
    const aborted = fineTune({ ...endless, outputDir: at("failed"), signal: stop.signal });
    for await (const event of aborted) {
      if (event.type === "step") break;
    }
    await expect(aborted).rejects.toThrow();
    expect(existsSync(at("failed"))).toBe(false);
  });
});

test("another thread has its folder until it is terminated", async () => {
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import(workerData.index).then(async ({ fineTune }) => {
       for await (const event of fineTune(workerData.options)) if (event.type === "step") parentPort.postMessage("step");
     });`,
    {
      eval: true,
      workerData: {
        index: path.join(dist, "index.mjs"),
        options: { ...endless, outputDir: at("threads") },
      },
    },
  );
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  const again = () => fineTune({ ...short, outputDir: at("threads") });
  await expect(again()).rejects.toThrow(`another run of this process (${process.pid})`);
  expect(claims("threads")).toHaveLength(1);
  await worker.terminate();
  await again();
  expect(claims("threads")).toEqual([]);
});

describe("runs of several processes", () => {
  const flags = (out: string, ...more: string[]) => [
    ...["train", "--model", at("model"), "--train", at("train.jsonl"), "--validation", at("dev.jsonl")],
    ...["--output_dir", at(out), ...more],
  ];
  const train = (out: string) => {
    const run = spawnSync(process.execPath, [main, ...flags(out, "--max_steps", "5", "--quiet")], {
      encoding: "utf8",
    });
    return [run.status, run.stderr] as const;
  };

  /** A training without end, in its steps. */
  async function training(out: string): Promise<ChildProcess> {
    const more = ["--max_steps", "1000000", "--eval_strategy", "no", "--progress", "json"];
    const child = spawn(process.execPath, [main, ...flags(out, ...more)], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await new Promise<void>((resolve) => {
      child.stdout!.on("data", (text) => {
        if (String(text).includes('"step"')) resolve();
      });
    });
    return child;
  }
  const end = (child: ChildProcess, ...signals: NodeJS.Signals[]) => {
    const closed = new Promise((resolve) => child.once("close", resolve));
    for (const signal of signals) child.kill(signal);
    return closed;
  };

  test("the second is refused, exit code 2, and told of the first", async () => {
    const child = await training("first");
    expect(train("first")).toEqual([
      2,
      expect.stringMatching(new RegExp(`^ERR_OUTPUT_DIR[\\s\\S]*taken by process ${child.pid} since`)),
    ]);
    expect(await end(child, "SIGINT")).toBe(130);
    expect(existsSync(at("first"))).toBe(false);
  });

  test("a second Ctrl-C, which does not wait, leaves no claim either", async () => {
    const child = await training("twice");
    // Not SIGINT twice: two that come together are one.
    await end(child, "SIGINT", "SIGTERM");
    expect(existsSync(at("twice"))).toBe(false);
  });

  test("one that was killed holds nobody up, and its claim goes with the next", async () => {
    const child = await training("killed");
    expect(await end(child, "SIGKILL")).toBeNull();
    expect(claims("killed")).toHaveLength(1);
    expect(train("killed")).toEqual([0, ""]);
    expect(claims("killed")).toEqual([]);
  });
});
