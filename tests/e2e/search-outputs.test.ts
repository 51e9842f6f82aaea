// search-outputs.test.ts — what a search leaves behind says what it did: layers.json, the model and its card, both studies.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SearchOptions, type SearchResult, search } from "../../src/index.js";
import { loadModelFolder } from "../../src/models/folder.js";
import { drawTensors } from "../../src/models/init.js";
import { SafetensorsFile } from "../../src/models/safetensors.js";
import { SqliteStore } from "../../src/study/stores/sqlite.js";
import { writeProblem } from "./tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-outputs-"));
const at = (name: string) => path.join(folder, name);
const base = (out: string): SearchOptions => ({
  model: at("model"),
  train: at("train.jsonl"),
  validation: at("dev.jsonl"),
  test: at("test.jsonl"),
  outputDir: at(out),
  nTrials: 8,
  nRandomTrials: 2,
  nSeeds: 2,
  maxSteps: 9,
  threads: 1,
});
const text = (name: string) => readFileSync(at(name), "utf8");
const json = (name: string) => JSON.parse(text(name));

async function trialsOf(out: string, study: string) {
  await using store = await SqliteStore.open(`sqlite:///${at(out)}/study.db`);
  const { studyId } = (await store.findStudy(study))!;
  return store.trials(studyId);
}

/** Of trials as stored: the value of the best, and what it ran with. */
function bestOf(trials: Awaited<ReturnType<typeof trialsOf>>) {
  const complete = trials.filter(({ state }) => state === "COMPLETE");
  const value = Math.max(...complete.map((trial) => trial.value!));
  return { value, rates: complete.filter((t) => t.value === value).map((t) => t.userAttrs.rates) };
}

beforeAll(() => writeProblem(at));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a search with its baseline", () => {
  let result: SearchResult;
  beforeAll(async () => {
    result = await search({ ...base("out"), saveDtype: "fp16" });
  }, 60_000);

  test("layers.json has the rates of the best trial of each study", async () => {
    const layers = json("out/layers.json");
    expect(layers.learning_rate_per_layer).toEqual(result.rates);
    expect(layers.frozen).toEqual(
      Object.entries(result.rates).flatMap(([group, rate]) => (rate === 0 ? [group] : [])),
    );
    const [own, plain] = [await trialsOf("out", "permafrost"), await trialsOf("out", "permafrost-uniform")];
    expect(bestOf(own).rates).toContainEqual(layers.learning_rate_per_layer);
    expect(bestOf(own).value).toBe(result.bestTrial.value);
    expect(bestOf(plain).rates).toContainEqual(layers.uniform);
    const { head: _, ...others } = layers.uniform;
    expect(new Set(Object.values(others)).size).toBe(1);
  });

  test("the baseline begins with the usual rates, and has as many trials", async () => {
    const plain = await trialsOf("out", "permafrost-uniform");
    expect(plain).toHaveLength(8);
    const starts = plain.flatMap(({ userAttrs, params }) =>
      userAttrs.warm_start === undefined ? [] : [params.learning_rate],
    );
    expect(starts).toEqual([5e-5, 2e-5].map((rate) => expect.closeTo(rate, 12)));
  });

  test("the card has the accuracies of the seed that was saved, on validation and test", () => {
    const card = text("out/model/README.md");
    const rows = [...card.matchAll(/^\| accuracy \| (\w+) \| ([\d.]+) \|$/gm)];
    const value = Object.fromEntries(rows.map(([, split, accuracy]) => [split, Number(accuracy)]));
    const { comparisons } = result.findings;
    const { validation } = comparisons[0]!.winner;
    // The best of two seeds on validation is the one that was saved.
    expect(value.validation).toBeCloseTo(validation.max, 4);
    const seeds = comparisons[0]!.seeds.map((seed) => seed.winner);
    expect(seeds.map((accuracy) => accuracy.toFixed(4))).toContain(value.test!.toFixed(4));
    expect(card).toContain("found by permafrost in 8 trials; of 2 seeds");
  });

  test("the model is stored as asked", async () => {
    await using file = await SafetensorsFile.open(at("out/model/model.safetensors"));
    expect(new Set(file.entries.map(({ dtype }) => dtype))).toEqual(new Set(["F16"]));
  });
});

describe("the largest class", () => {
  // Nine rows of ten are red, whatever they say.
  const files = {
    train: at("skew-train.jsonl"),
    validation: at("skew-dev.jsonl"),
    test: at("skew-test.jsonl"),
  };
  beforeAll(() => {
    for (const [i, file] of Object.values(files).entries()) {
      const rows = Array.from({ length: 40 }, (_, row) => ({
        text: `cat ${i} ${row}`,
        label: row % 10 ? "red" : "green",
      }));
      writeFileSync(file, rows.map((row) => JSON.stringify(row)).join("\n"));
    }
  });
  const warnings = ({ findings }: SearchResult) =>
    findings.notices.filter(({ tone }) => tone === "warning").map(({ text }) => text);

  test("a result no better than it is a warning", async () => {
    const still = { learningRateRange: [1e-12, 1e-11], headLearningRateRange: [1e-12, 1e-11] } as const;
    const result = await search({ ...base("skew"), ...files, ...still, nTrials: 3 });
    expect(result.findings.majority).toEqual({ label: "red", test: 0.9 });
    expect(warnings(result)).toContainEqual(
      expect.stringMatching(
        /^No configuration is better on test than always answering "red", .* \(90\.0 %\)/,
      ),
    );
  });

  test("one that is better is none", async () => {
    const rates = { learningRateRange: [1e-3, 2e-3], headLearningRateRange: [1e-2, 2e-2] } as const;
    const result = await search({ ...base("learned"), ...rates, nTrials: 3, maxSteps: 60, baseline: false });
    expect(result.findings.winner!.test.mean).toBeGreaterThan(result.findings.majority.test);
    expect(warnings(result)).toEqual([]);
  });
});

test("every retraining begins with a classifier of its own", async () => {
  // Rates too small to move a weight: what is saved is what it began with.
  const still = { learningRateRange: [1e-12, 1e-11], headLearningRateRange: [1e-12, 1e-11] } as const;
  await search({ ...base("still"), ...still, nTrials: 4, baseline: false, seed: 5, weightDecay: 0 });
  const { tensors } = await loadModelFolder(at("still/model"));
  const saved = tensors.get("classifier.weight")!.data;
  const source = await loadModelFolder(at("model"));
  const distance = (seed: number) => {
    const [drawn] = drawTensors(source, ["blue", "green", "red"], ["classifier.weight"], seed);
    return Math.max(...drawn!.data.map((weight, i) => Math.abs(weight - saved[i]!)));
  };
  const near = [5, 6, 7].map((seed) => distance(seed) < 1e-6);
  expect(near.filter(Boolean)).toHaveLength(1);
  expect(near[0]).toBe(false); // 5 is the seed of the trials
});

test("rates that no trial survives: no model, no look at test, and the reason", async () => {
  const wild = { learningRateRange: [1e20, 1e21], headLearningRateRange: [1e20, 1e21] } as const;
  const run = search({ ...base("wild"), ...wild, nTrials: 3, nRandomTrials: 3, baseline: false });
  await expect(run).rejects.toMatchObject({ name: "TrainingError", code: "ERR_NO_TRIAL" });
  const trials = await trialsOf("wild", "permafrost");
  expect(trials.map(({ state }) => state)).toEqual(["FAIL", "FAIL", "FAIL"]);
  await using store = await SqliteStore.open(`sqlite:///${at("wild")}/study.db`);
  const { userAttrs } = (await store.findStudy("permafrost"))!;
  expect(Object.keys(userAttrs).filter((key) => key.includes("test"))).toEqual([]);
  expect(() => text("wild/report.json")).toThrow(/ENOENT/);
  expect(() => text("wild/model/config.json")).toThrow(/ENOENT/);
});
