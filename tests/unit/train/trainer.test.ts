import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { resolve } from "../../../src/config/resolve.js";
import { trainOptions } from "../../../src/config/schema.js";
import type { TrainOptions } from "../../../src/index.js";
import { Lane, type LaneOptions } from "../../../src/train/lane.js";
import { openTask } from "../../../src/train/task.js";
import { Trainer } from "../../../src/train/trainer.js";
import { endState } from "../../../src/train/trainer-state.js";
import { TrainingLog } from "../../../src/train/training-log.js";
import { writeColours, writeProblem } from "../../e2e/tiny.js";

/** Writes a NaN into the embedding of a token. */
function spoilToken(file: string, token: number): void {
  const bytes = readFileSync(file);
  const data = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, data)) as Record<
    string,
    { shape: number[]; data_offsets: number[] }
  >;
  const name = Object.keys(header).find((key) => key.endsWith("word_embeddings.weight"))!;
  const { shape, data_offsets } = header[name]!;
  bytes.writeUInt32LE(0x7fc00000, data + data_offsets[0]! + token * shape[1]! * 4);
  writeFileSync(file, bytes);
}

describe("a lane", () => {
  const options = { rates: {}, seed: 1 };
  const evaluate = (
    accuracies: readonly number[],
    stopping: { patience?: number; threshold?: number } = {},
  ) => {
    const lane = new Lane(options, {
      metricForBestModel: "accuracy",
      earlyStoppingPatience: stopping.patience,
      earlyStoppingThreshold: stopping.threshold ?? 0,
    });
    for (const [i, accuracy] of accuracies.entries()) {
      lane.record({ step: i + 1, epoch: i + 1, accuracy, loss: 1 });
      lane.stopEarly();
      if (!lane.active) break;
    }
    return lane;
  };

  test("the best is the first of its value", () => {
    expect(evaluate([0.5, 0.8, 0.8, 0.7]).best?.step).toBe(2);
  });

  test("stops when nothing was better for `patience` evaluations; without patience never", () => {
    expect(evaluate([0.5, 0.4, 0.6, 0.6, 0.6, 0.9], { patience: 2 }).evaluations).toHaveLength(5);
    expect(evaluate([0.5, 0.4, 0.3, 0.2])).toMatchObject({ active: true, state: "completed" });
  });

  test("what is better by less than the threshold is the best, but no improvement", () => {
    const lane = evaluate([0.5, 0.51, 0.52, 0.9], { patience: 2, threshold: 0.1 });
    expect([lane.best?.step, lane.state]).toEqual([3, "stopped-early"]);
  });
});

describe("a trainer", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-trainer-"));
  const at = (name: string) => path.join(folder, name);
  beforeAll(async () => {
    await writeProblem(at);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const deep = { embeddings: 0, "layer.0": 0, "layer.1": 1e-3, head: 1e-3 };
  const shallow = { embeddings: 0, "layer.0": 1e-3, "layer.1": 1e-3, head: 1e-3 };

  async function run(options: Partial<TrainOptions>, rates = [deep], onChunk?: (step: number) => void) {
    const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
    const { config } = resolve(trainOptions, { ...files, numTrainEpochs: 2, ...options });
    await using task = await openTask(config);
    const lanes = rates.map((r) => ({ rates: r, seed: 1 }));
    await using trainer = await Trainer.open(task, config, lanes);
    const outcomes = await trainer.run({ onChunk: async (step) => onChunk?.(step) });
    return { outcomes, totals: trainer.totals };
  }

  test("rungs: scored where a quarter and a half of the steps are done, at the end of that epoch, and at the end", async () => {
    const scored = async (options: Partial<TrainOptions>) => {
      const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
      const { config } = resolve(trainOptions, { ...files, ...options });
      await using task = await openTask(config);
      const lanes = [{ rates: deep, seed: 1 }];
      await using trainer = await Trainer.open(task, { ...config, evalStrategy: "rungs" }, lanes);
      const [outcome] = await trainer.run({});
      return outcome!.evaluations.map(({ epoch }) => epoch);
    };
    expect(await scored({ numTrainEpochs: 10 })).toEqual([3, 5, 10]);
    expect(await scored({ numTrainEpochs: 16 })).toEqual([4, 8, 16]);
    expect(await scored({ numTrainEpochs: 3 })).toEqual([1, 5 / 3, 3]);
    expect(await scored({ maxSteps: 2 })).toEqual([1 / 3, 2 / 3]);
  });

  test("ends with the weights of its last evaluation, or of its best: that is the final one", async () => {
    const rising = { embeddings: 0, "layer.0": 0, "layer.1": 3e-2, head: 3e-1 }; // too fast to end at its best
    const run = async (loadBestModelAtEnd: boolean) => {
      const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
      const { config } = resolve(trainOptions, { ...files, numTrainEpochs: 6, loadBestModelAtEnd });
      await using task = await openTask(config);
      await using trainer = await Trainer.open(task, config, [{ rates: rising, seed: 1 }]);
      const [outcome] = await trainer.run({});
      const { accuracy, loss } = await trainer.score(0, task.splits.validation);
      expect(outcome!.final).toMatchObject({ accuracy, loss });
      return outcome!;
    };
    const [last, best] = [await run(false), await run(true)];
    expect(last.final).toEqual(last.evaluations.at(-1));
    expect(best.final).toEqual(best.best);
    expect(best.final).not.toEqual(last.final);
  });

  test("a lane that diverges has evaluations and no final one: the weights it ends with were not scored", async () => {
    const tooFast = { ...deep, "layer.1": 1e30 };
    const { outcomes } = await run({ evalStrategy: "steps", evalSteps: 1 }, [tooFast]);
    expect(outcomes[0]).toMatchObject({ state: "diverged", final: null });
    expect(outcomes[0]!.evaluations.length).toBeGreaterThan(0);
  });

  test("a lane whose loss on validation is not finite has diverged, though its training loss was", async () => {
    cpSync(at("model"), at("broken"), { recursive: true });
    spoilToken(at("broken/model.safetensors"), 16); // "a": no training row has it
    writeFileSync(at("a.jsonl"), '{"text":"a red cat","label":"red"}\n');
    const files = { model: at("broken"), train: at("train.jsonl"), validation: at("a.jsonl") };
    const { config } = resolve(trainOptions, files);
    await using task = await openTask(config);
    await using trainer = await Trainer.open(task, config, [{ rates: shallow, seed: 1 }]);
    const [outcome] = await trainer.run({});
    expect(outcome).toMatchObject({ state: "diverged", steps: 3, evaluations: [], final: null });
  });

  test("scores some rows as it scores them among all", async () => {
    const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
    const { config } = resolve(trainOptions, { ...files, maxSteps: 2 });
    await using task = await openTask(config);
    await using trainer = await Trainer.open(task, config, [{ rates: shallow, seed: 1 }]);
    await trainer.run({});
    const { validation } = task.splits;
    const all = await trainer.score(0, validation);
    expect(new Set(all.correct)).toEqual(new Set([true, false]));
    const rows = Int32Array.of(17, 3, 28, 5, 0);
    const some = await trainer.score(0, validation, undefined, rows);
    expect(some.correct).toEqual(Array.from(rows, (row) => all.correct[row]));
    expect(some.accuracy).toBe(some.correct.filter(Boolean).length / 5);
  });

  test("at a rung scores the rows of its sample, at the end all", async () => {
    const files = { model: at("model"), train: at("train.jsonl"), validation: at("many.jsonl") };
    writeColours(files.validation, 90, 2);
    const { config } = resolve(trainOptions, { ...files, maxSteps: 4 });
    await using task = await openTask(config);
    await using trainer = await Trainer.open(task, { ...config, evalStrategy: "rungs" }, [
      { rates: deep, seed: 1 },
    ]);
    const [outcome] = await trainer.run({});
    const rowsRight = outcome!.evaluations.map(({ accuracy }, i) => accuracy * (i < 2 ? 64 : 90));
    expect(rowsRight).toHaveLength(3);
    for (const count of rowsRight) expect(count).toBeCloseTo(Math.round(count), 9);
    expect(new Set(outcome!.evaluations.map(({ loss }) => loss)).size).toBe(3);
  });

  test("the cost of a lane is what runs with an empty cache, whatever the cache holds or may hold", async () => {
    const [cached, off, noRoom] = await Promise.all(
      [{}, { cache: "off" as const }, { cacheGib: 0 }].map((options) => run(options)),
    );
    const [cost] = cached!.outcomes.map(({ flops }) => flops);
    expect(cached!.totals.flops).toBe(cost);
    expect([off, noRoom].map((one) => one!.outcomes[0]!.flops)).toEqual([cost, cost]);
    expect(off!.totals.flops).toBeGreaterThan(cost!);
  });

  test("a lane costs the same alone and beside others; the totals are what ran", async () => {
    const { outcomes, totals } = await run({}, [deep, shallow]);
    const alone = await Promise.all([deep, shallow].map((rates) => run({}, [rates])));
    expect(outcomes.map(({ flops }) => flops)).toEqual(alone.map((one) => one.outcomes[0]!.flops));
    expect(totals.tokens).toBe(alone[0]!.totals.tokens + alone[1]!.totals.tokens);
    expect(outcomes.map(({ tokens }) => tokens)).toEqual(alone.map((one) => one.totals.tokens));
    expect(totals.flops).toBe(outcomes[0]!.flops + outcomes[1]!.flops); // of embeddings alone a prefix costs none
    expect(outcomes[0]!.seconds + outcomes[1]!.seconds).toBeCloseTo(totals.seconds, 9);
    // What both have frozen runs once for the two.
    expect((await run({}, [deep, deep])).totals.flops).toBeLessThan(2 * outcomes[0]!.flops);
  });

  test("lanes share the time of a chunk as their FLOPs are", async () => {
    const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
    const { config } = resolve(trainOptions, { ...files, maxSteps: 3, evalStrategy: "no" });
    await using task = await openTask(config);
    const lanes = [deep, shallow].map((rates) => ({ rates, seed: 1 }));
    await using trainer = await Trainer.open(task, config, lanes);
    const runSteps = trainer.session.runSteps.bind(trainer.session);
    const hours = 1e6; // so that scoring at the end counts for nothing
    vi.spyOn(trainer.session, "runSteps").mockImplementation(async (...chunk) => ({
      ...(await runSteps(...chunk)),
      seconds: hours,
    }));
    const [less, more] = await trainer.run({});
    expect(more!.flops / less!.flops).toBeGreaterThan(1.2);
    expect(more!.seconds / less!.seconds).toBeCloseTo(more!.flops / less!.flops, 3);
  });

  test("one lane of several as trainer_state.json, as if it had run alone", async () => {
    const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
    const { config } = resolve(trainOptions, { ...files, maxSteps: 4, loggingSteps: 2 });
    await using task = await openTask(config);
    const states = async (lanes: readonly LaneOptions[]) => {
      await using trainer = await Trainer.open(task, config, lanes);
      const logs = lanes.map(({ rates }) => new TrainingLog(rates, config.loggingSteps));
      const outcomes = await trainer.run({
        onStep: (lane, entry) => logs[lane]!.step(entry),
        onEvaluation: (lane, evaluation) => void logs[lane]!.evaluation(evaluation),
      });
      return outcomes.map((outcome, lane) => endState(trainer, logs[lane]!, config, outcome));
    };
    const lanes = [
      { rates: deep, seed: 1 },
      { rates: shallow, seed: 2 },
    ];
    const [together, alone] = [await states(lanes), await states(lanes.slice(1))];
    const timeless = (state: object) =>
      JSON.parse(JSON.stringify(state).replace(/("[a-z_]*(runtime|second)":)[^,}]*/g, "$1 0"));
    expect(timeless(together[1]!)).toEqual(timeless(alone[0]!));
    expect(together[1]).toMatchObject({
      global_step: 4,
      num_train_epochs: 2,
      best_global_step: expect.any(Number),
    });
    expect((together[1]!.log_history as object[]).at(-1)).toMatchObject({
      train_loss: expect.any(Number),
      step: 4,
    });
  });

  test("chunks end at every multiple of save_steps, whatever the pace", async () => {
    const ends: number[] = [];
    await run({ numTrainEpochs: 9, saveSteps: 5 }, [deep], (step) => ends.push(step));
    expect(ends).toEqual(expect.arrayContaining([5, 10, 15, 20, 25, 27]));
  });
});
