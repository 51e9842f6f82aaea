// options.test.ts — every option of a training reaches what it is for: the weights differ from those without it.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fineTune, type TrainOptions } from "../../src/index.js";
import { writeProblem } from "./tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-options-"));
const at = (name: string) => path.join(folder, name);
const base: TrainOptions = {
  model: at("model"),
  train: at("train.jsonl"),
  validation: at("dev.jsonl"),
  outputDir: at("out"),
  learningRate: 1e-3,
  maxSteps: 7, // two epochs and a bit
  evalStrategy: "no",
  loadBestModelAtEnd: false,
};

async function weights(options: Partial<TrainOptions> = {}): Promise<string> {
  rmSync(at("out"), { recursive: true, force: true });
  await fineTune({ ...base, ...options });
  return readFileSync(at("out/model.safetensors")).toString("base64");
}

let plain: string;
beforeAll(async () => {
  await writeProblem(at);
  plain = await weights();
  seen.push(plain);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the same options, the same weights", async () => {
  expect(await weights()).toBe(plain);
  expect(await weights({ seed: 42, dataSeed: 42 })).toBe(plain);
});

test.each<Partial<TrainOptions>>([
  { seed: 7, dataSeed: 42 }, // classifier and dropout alone
  { dataSeed: 7 },
  { trainSamplingStrategy: "sequential" },
  { perDeviceTrainBatchSize: 8 },
  { learningRate: 2e-3 },
  { learningRatePerLayer: { "layer.0": 2e-3 } },
  { freeze: ["embeddings"] },
  { lrSchedulerType: "constant" },
  { warmupSteps: 5 },
  { weightDecay: 0.5 },
  { adamBeta1: 0.5 },
  { adamBeta2: 0.9 },
  { adamEpsilon: 1e-3 },
  { maxGradNorm: 1e-9 },
  { labelSmoothingFactor: 0.3 },
  { precision: "bf16" },
  { maxLength: 4 },
  { pooling: "mean" },
])("%j changes them", async (options) => {
  expect(await weights(options)).not.toBe(plain);
});

const seen: string[] = [];
test.each(["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"])(
  "so does %s of the model's config.json, each in its own way",
  async (key) => {
    const model = at(`model-${key}`);
    cpSync(at("model"), model, { recursive: true });
    const config = JSON.parse(readFileSync(path.join(model, "config.json"), "utf8"));
    writeFileSync(path.join(model, "config.json"), JSON.stringify({ ...config, [key]: 0.4 }));
    const trained = await weights({ model });
    expect(seen).not.toContain(trained);
    seen.push(trained);
  },
);

test("--test scores the rows of test", async () => {
  const rows = readFileSync(at("dev.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const names = [...new Set(rows.map(({ label }) => label))];
  const wrong = rows.map((row) => ({ ...row, label: names[(names.indexOf(row.label) + 1) % names.length] }));
  writeFileSync(at("wrong.jsonl"), wrong.map((row) => `${JSON.stringify(row)}\n`).join(""));
  rmSync(at("out"), { recursive: true, force: true });
  const learns = { maxSteps: -1, numTrainEpochs: 20, learningRate: 1e-2 };
  const result = await fineTune({ ...base, ...learns, test: at("wrong.jsonl") });
  expect(result.validation.accuracy).toBeGreaterThan(0.9);
  expect(result.test!.accuracy).toBeLessThan(0.1);
  expect(result.test!.loss).toBeGreaterThan(result.validation.loss);
});

test("a classifier that is trained on keeps the order of its classes", async () => {
  await weights();
  const model = at("reversed");
  cpSync(at("out"), model, { recursive: true });
  const config = JSON.parse(readFileSync(path.join(model, "config.json"), "utf8"));
  const names = Object.values<string>(config.id2label).reverse();
  const id2label = Object.fromEntries(names.map((name, i) => [i, name]));
  const label2id = Object.fromEntries(names.map((name, i) => [name, i]));
  writeFileSync(path.join(model, "config.json"), JSON.stringify({ ...config, id2label, label2id }));
  await weights({ model });
  expect(JSON.parse(readFileSync(at("out/config.json"), "utf8")).id2label).toEqual(id2label);
});
