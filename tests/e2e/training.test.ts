// What the training options promise, seen in what a run writes: on a tiny model, through the API.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { snakeCase } from "../../src/config/option.js";
import { fineTune, loadModel, type TrainOptions, type TrainResult } from "../../src/index.js";
import { SafetensorsFile } from "../../src/models/safetensors.js";
import type { Tensor } from "../../src/models/types.js";
import { warmupSteps } from "../../src/train/schedules.js";
import { FLOOR } from "../golden/rule.js";
import { writeProblem } from "./tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-training-"));
const at = (name: string) => path.join(folder, name);
const json = (name: string) => JSON.parse(readFileSync(at(name), "utf8"));

beforeAll(() => writeProblem(at));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Three steps an epoch. */
function train(outputDir: string, options: Partial<TrainOptions> = {}): Promise<TrainResult> {
  const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
  const run = fineTune({
    learningRate: 1e-2,
    numTrainEpochs: 6,
    ...files,
    ...options,
    outputDir: at(outputDir),
  });
  return Promise.resolve(run);
}

async function stored(dir: string): Promise<Map<string, Tensor & { dtype: string }>> {
  await using file = await SafetensorsFile.open(at(`${dir}/model.safetensors`));
  const out = new Map<string, Tensor & { dtype: string }>();
  for (const entry of file.entries)
    out.set(entry.name.replace(/^bert\./, ""), { ...(await file.read(entry)), dtype: entry.dtype });
  return out;
}

describe("freezing", () => {
  test("frozen tensors are written with the bytes they were read with; all others move", async () => {
    await train("frozen", { learningRatePerLayer: { embeddings: 0, "layer.1": 0 }, weightDecay: 0.1 });
    const [before, after] = [await stored("model"), await stored("frozen")];
    const frozen = (name: string) => name.startsWith("embeddings.") || name.startsWith("encoder.layer.1.");
    const changed = [...before].filter(([name, { data }]) => !same(after.get(name)!.data, data));
    expect(changed.map(([name]) => name)).toEqual([...before.keys()].filter((name) => !frozen(name)));
    expect([...before.keys()].filter(frozen)).toHaveLength(5 + 16);
  });

  test("a cached prefix: its use is reported, it saves arithmetic, and it changes no bit", async () => {
    const frozen = { learningRatePerLayer: { embeddings: 0, "layer.0": 0 }, numTrainEpochs: 4 };
    const cached = await train("cached", frozen);
    const computed = await train("computed", { ...frozen, cache: "off" });
    const noRoom = await train("no-room", { ...frozen, cacheGib: 0 });
    // 48 rows: computed in the first epoch, read back in three.
    expect(cached.cache).toMatchObject({ misses: 48, hits: 3 * 48 });
    expect(cached.cache.bytes).toBeGreaterThanOrEqual(48 * 3 * 32 * 4);
    for (const other of [computed, noRoom]) {
      expect(other.cache).toEqual({ hits: 0, misses: 0, bytes: 0 });
      expect(other.flops).toBe(computed.flops);
    }
    expect(cached.flops).toBeLessThan(computed.flops);
    expect(json("cached/trainer_state.json").total_flos).toBe(cached.flops);
    for (const dir of ["computed", "no-room"]) expect(bytes(dir)).toEqual(bytes("cached"));
  });
});

describe("evaluation", () => {
  test("early stopping: ends after `patience` evaluations that are no better", async () => {
    // No evaluation can be better than the first by 2, so the third is the last.
    const options = { earlyStoppingPatience: 2, earlyStoppingThreshold: 2, saveSteps: 9, maxSteps: 30 };
    const result = await train("early", options);
    expect(result.steps).toBe(9);
    const state = json("early/trainer_state.json");
    expect(state.log_history.filter((entry: object) => "eval_loss" in entry)).toHaveLength(3);
    expect(state).toMatchObject({ global_step: 9, max_steps: 30 });

    // Going on from where it stopped is no licence to train further.
    const again = await train("early-again", { ...options, resumeFromCheckpoint: at("early/checkpoint-9") });
    expect(again.steps).toBe(9);
    expect(bytes("early-again")).toEqual(bytes("early"));
  });

  test("load_best_model_at_end: the written weights are those of the best evaluation, also after going on", async () => {
    // Too high a rate to stay where it is best: epoch 4 of 5, after step 12.
    const high = {
      learningRate: 0.03,
      numTrainEpochs: 5,
      saveSteps: 2,
      lrSchedulerType: "constant",
      metricForBestModel: "eval_loss",
    } as const;
    const best = await train("best", { ...high, loadBestModelAtEnd: true });
    const last = await train("last", { ...high, loadBestModelAtEnd: false });
    const losses = json("best/trainer_state.json")
      .log_history.filter((entry: object) => "eval_loss" in entry)
      .map((entry: { eval_loss: number }) => entry.eval_loss);
    expect(best.validation.loss).toBe(Math.min(...losses));
    expect(last.validation.loss).toBe(losses.at(-1));
    expect(losses.indexOf(best.validation.loss)).toBe(3); // else the test shows nothing
    expect(json("best/eval_results.json").eval_loss).toBe(best.validation.loss);
    expectScores(await scoresOf("best"), best.validation);
    expectScores(await scoresOf("last"), last.validation);
    expect(bytes("best").equals(bytes("last"))).toBe(false);

    // Still to come, here, and past: then the checkpoint has its weights beside the present ones.
    for (const step of [10, 12, 14]) {
      const from = { resumeFromCheckpoint: at(`best/checkpoint-${step}`) };
      const rest = await train("best-rest", { ...high, loadBestModelAtEnd: true, ...from });
      expect(rest.validation).toEqual(best.validation);
      expect(bytes("best-rest")).toEqual(bytes("best"));
    }
  });
});

describe("checkpoints", () => {
  const options = { saveSteps: 4, loggingSteps: 1, numTrainEpochs: 7 } as const;

  test("one at every multiple of save_steps, and no other", async () => {
    await train("whole", options);
    const found = readdirSync(at("whole")).filter((name) => name.startsWith("checkpoint-"));
    expect(found.sort()).toEqual([
      "checkpoint-12",
      "checkpoint-16",
      "checkpoint-20",
      "checkpoint-4",
      "checkpoint-8",
    ]);
  });

  test("a run that goes on ends as the whole: weights, log and totals", async () => {
    const whole = json("whole/trainer_state.json");
    for (const step of [4, 16]) {
      const state = json(`whole/checkpoint-${step}/trainer_state.json`);
      expect(state.global_step).toBe(step);
      expect(state.total_flos / whole.total_flos).toBeCloseTo(step / 21, 1);
      expect(state.num_input_tokens_seen / whole.num_input_tokens_seen).toBeCloseTo(step / 21, 1);
      await train("rest", { ...options, resumeFromCheckpoint: at(`whole/checkpoint-${step}`) });
      expect(bytes("rest")).toEqual(bytes("whole"));
      const rest = json("rest/trainer_state.json");
      expect(timeless(rest.log_history)).toEqual(timeless(whole.log_history));
      for (const key of ["total_flos", "num_input_tokens_seen", "best_metric", "best_global_step"])
        expect(rest[key], key).toEqual(whole[key]);
      // The time of both processes for the steps of both.
      const results = json("rest/train_results.json");
      expect(results.train_runtime).toBeGreaterThan(
        JSON.parse(readFileSync(at(`whole/checkpoint-${step}/permafrost_checkpoint.json`), "utf8")).totals
          .seconds,
      );
      expect(results.train_steps_per_second).toBeCloseTo(21 / results.train_runtime, 6);
    }
  });

  test("best_model_checkpoint names the folder written at the best evaluation, if one was", async () => {
    // Rates this high are at their best early.
    const early = {
      ...options,
      learningRate: 0.3,
      lrSchedulerType: "constant",
      metricForBestModel: "eval_loss",
    } as const;
    await train("best-saved", { ...early, saveSteps: 3 });
    const state = json("best-saved/trainer_state.json");
    expect(state.best_global_step).toBeLessThan(21);
    expect(state.best_model_checkpoint).toBe(at(`best-saved/checkpoint-${state.best_global_step}`));
    const from = at("best-saved/checkpoint-18");
    await train("best-rest", { ...early, saveSteps: 3, resumeFromCheckpoint: from });
    expect(json("best-rest/trainer_state.json").best_model_checkpoint).toBe(state.best_model_checkpoint);
    expect(bytes("best-rest")).toEqual(bytes("best-saved"));
    await train("best-unsaved", { ...early, saveSteps: 20 });
    expect(json("best-unsaved/trainer_state.json").best_model_checkpoint).toBeNull();
  });

  test.each([
    { evalStrategy: "steps" },
    { evalSteps: 2 },
    { metricForBestModel: "eval_loss" },
    { earlyStoppingPatience: 1 },
    { earlyStoppingThreshold: 0.1 },
    { loadBestModelAtEnd: false },
    { pooling: "mean" },
    { weightDecay: 0.5 },
  ] as Partial<TrainOptions>[])("are refused by a run with another %o", async (other) => {
    const from = { resumeFromCheckpoint: at("whole/checkpoint-8") };
    await expect(train("refused", { ...options, ...other, ...from })).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      message: expect.stringContaining(`checkpoint-8: ${snakeCase(Object.keys(other)[0]!)} `),
    });
  });
});

describe("trainer_state.json and the model card", () => {
  test("the log ends as Hugging Face's does: what training took, and the mean loss of all steps", async () => {
    await train("logged", { loggingSteps: 1 });
    await train("seldom", { loggingSteps: 7 });
    const state = json("logged/trainer_state.json");
    const last = state.log_history.at(-1);
    expect(Object.keys(last).sort()).toEqual([
      "epoch",
      "step",
      "total_flos",
      "train_loss",
      "train_runtime",
      "train_samples_per_second",
      "train_steps_per_second",
    ]);
    expect(last).toMatchObject({ epoch: 6, step: 18, total_flos: state.total_flos });
    const losses = state.log_history.flatMap((e: { loss?: number }) =>
      e.loss === undefined ? [] : [e.loss],
    );
    const mean = losses.reduce((a: number, b: number) => a + b, 0) / 18;
    expect(last.train_loss).toBeCloseTo(mean, 12);
    // 18 steps are two entries of seven and four steps that no entry holds.
    expect(json("seldom/trainer_state.json").log_history.at(-1).train_loss).toBeCloseTo(mean, 6);
    expect(last.train_samples_per_second).toBeCloseTo((6 * 48) / last.train_runtime, 6);
    const results = json("logged/train_results.json");
    const { step: _, ...rest } = last;
    expect(results).toEqual(rest);
  });

  test("num_train_epochs follows max_steps; the card names the one in force", async () => {
    await train("by-steps", { maxSteps: 7 });
    expect(json("by-steps/trainer_state.json")).toMatchObject({ max_steps: 7, num_train_epochs: 3 });
    const card = (dir: string) => readFileSync(at(`${dir}/README.md`), "utf8");
    expect(card("by-steps")).toContain("| `max_steps` | 7 |");
    expect(card("by-steps")).not.toContain("num_train_epochs");
    await train("by-epochs", { numTrainEpochs: 1.5 });
    expect(json("by-epochs/trainer_state.json")).toMatchObject({ max_steps: 5, num_train_epochs: 2 });
    expect(card("by-epochs")).toContain("| `num_train_epochs` | 1.5 |");
  });
});

describe("lr_scheduler_type", () => {
  // 18 steps, ⌈0.1 · 18⌉ = 2 of warm-up; the rate of step s (from 0), by the formulas of Hugging Face's get_scheduler.
  const [total, warm] = [18, warmupSteps(0.1, 18)];
  const shapes: Record<string, (s: number) => number> = {
    linear: (s) => (s < warm ? s / warm : (total - s) / (total - warm)),
    cosine: (s) => (s < warm ? s / warm : (1 + Math.cos((Math.PI * (s - warm)) / (total - warm))) / 2),
    constant: () => 1,
    constant_with_warmup: (s) => Math.min(1, s / warm),
  };
  test.each(Object.keys(shapes))("%s", async (name) => {
    expect(warm).toBe(2);
    await train(name, { lrSchedulerType: name as "linear", loggingSteps: 1 });
    const steps = json(`${name}/trainer_state.json`).log_history.filter((entry: object) => "loss" in entry);
    const factors = steps.map((e: { learning_rate: number }) => e.learning_rate / 1e-2);
    expect(factors).toHaveLength(total);
    for (const [s, factor] of factors.entries()) expect(factor).toBeCloseTo(shapes[name]!(s), 12);
  });

  test("each shape trains to other weights", () => {
    const weights = Object.keys(shapes).map((name) => bytes(name).toString("base64"));
    expect(new Set(weights).size).toBe(4);
  });
});

test("an output folder that cannot be is an error before anything is read", async () => {
  const begun: string[] = [];
  const run = fineTune({
    model: at("no-such-model"),
    train: at("train.jsonl"),
    validation: at("dev.jsonl"),
    outputDir: at("train.jsonl"),
  });
  await expect(async () => {
    for await (const event of run) begun.push(event.type);
  }).rejects.toMatchObject({ code: "ERR_OUTPUT_DIR", message: expect.stringContaining("train.jsonl") });
  expect(begun).toEqual([]);
});

describe("save_dtype", () => {
  test.each([
    ["fp32", "F32", "float32"],
    ["fp16", "F16", "float16"],
    ["bf16", "BF16", "bfloat16"],
  ] as const)("%s", async (saveDtype, dtype, name) => {
    const result = await train(saveDtype, { saveDtype, numTrainEpochs: 20 });
    const tensors = [...(await stored(saveDtype)).values()];
    expect(new Set(tensors.map((tensor) => tensor.dtype))).toEqual(new Set([dtype]));
    expect(json(`${saveDtype}/config.json`).dtype).toBe(name);
    await using model = await loadModel(at(saveDtype));
    expect((await model.predict(["cat the blue dog"]))[0]!.label).toBe("blue");
    expect(result.validation.accuracy).toBe(1);
  });
});

/** Accuracy and mean cross entropy of a written model on the validation rows, in doubles from its logits. */
async function scoresOf(dir: string): Promise<{ accuracy: number; loss: number; largestLogit: number }> {
  const rows = readFileSync(at("dev.jsonl"), "utf8").trim().split("\n");
  const examples = rows.map((row) => JSON.parse(row) as { text: string; label: string });
  await using model = await loadModel(at(dir));
  const predictions = await model.predict(examples.map(({ text }) => text));
  let [right, loss, largestLogit] = [0, 0, 0];
  for (const [i, { label, logits }] of predictions.entries()) {
    if (label === examples[i]!.label) right += 1;
    const sum = Array.from(logits, Math.exp).reduce((a, b) => a + b);
    loss += Math.log(sum) - logits[model.labels.indexOf(examples[i]!.label)]!;
    largestLogit = Math.max(largestLogit, ...logits.map(Math.abs));
  }
  return { accuracy: right / rows.length, loss: loss / rows.length, largestLogit };
}

/** The trainer's losses are of float32 logits, computed in float32: the rule's floor, at the size of a logit. */
function expectScores(own: Awaited<ReturnType<typeof scoresOf>>, told: TrainResult["validation"]) {
  expect(own.accuracy).toBe(told.accuracy);
  expect(Math.abs(own.loss - told.loss)).toBeLessThanOrEqual(FLOOR * own.largestLogit);
}

/** A log without what depends on the clock. */
const timeless = (log: readonly object[]) =>
  log.map((entry) =>
    Object.fromEntries(Object.entries(entry).filter(([key]) => !/^train_runtime$|_per_second$/.test(key))),
  );
const bytes = (dir: string) => readFileSync(at(`${dir}/model.safetensors`));
/** Bit for bit: 0 and -0 differ. */
const same = (a: Float32Array, b: Float32Array) =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
