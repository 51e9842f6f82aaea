// The public API as a program uses it: runs that are awaited, iterated, aborted, left early and disposed, on a tiny model.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import "@tensorflow/tfjs-backend-cpu";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fineTune, loadModel, search, type TrainEvent } from "../../src/index.js";
import { fromTensor, toTensor } from "../../src/tfjs.js";
import { writeProblem } from "./tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-api-"));
const at = (name: string) => path.join(folder, name);
const data = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl") };
const learns = {
  ...data,
  learningRatePerLayer: { embeddings: 1e-2, "layer.0": 0, "layer.1": 1e-2, head: 1e-2 },
  numTrainEpochs: 20,
};
const endless = { ...data, maxSteps: 1_000_000, evalStrategy: "no" as const };

beforeAll(() => writeProblem(at));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("fineTune", () => {
  test("is iterated for progress and awaited for the result", async () => {
    const run = fineTune({ ...learns, test: at("test.jsonl"), outputDir: at("out") });
    const events: TrainEvent[] = [];
    for await (const event of run) events.push(event);
    const result = await run;
    const of = <T extends TrainEvent["type"]>(type: T) =>
      events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);
    expect(of("start")).toMatchObject([
      { totalSteps: 60, trainRows: 48, rates: learns.learningRatePerLayer },
    ]);
    expect(of("step").map((event) => event.step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(of("evaluation").map((event) => event.step)).toEqual(
      Array.from({ length: 20 }, (_, i) => 3 * i + 3),
    );
    expect(of("saved")).toEqual([{ type: "saved", path: at("out") }]);
    expect(JSON.parse(JSON.stringify(events))).toEqual(events);
    expect(result).toMatchObject({ outputDir: at("out"), steps: 60, validation: { accuracy: 1 } });
    expect(result.test!.accuracy).toBe(1);
    expect(result.trainedParameters).toBeLessThan(result.parameters);
    expect(await run).toBe(result);
  });

  test("without anybody iterating it ends all the same, with the same bits", async () => {
    await fineTune({ ...learns, outputDir: at("again") });
    const weights = (dir: string) => readFileSync(at(`${dir}/model.safetensors`));
    expect(weights("again").equals(weights("out"))).toBe(true);
  });

  test("wrong options reject the run, all problems at once", async () => {
    await expect(fineTune({ ...data, seed: -1, maxLength: 0 })).rejects.toMatchObject({
      code: "ERR_CONFIG",
      issues: [expect.anything(), expect.anything()],
    });
  });

  test("what fails while it runs is thrown where it is awaited, and where it is iterated", async () => {
    const missing = { ...data, train: at("none.jsonl") };
    await expect(fineTune(missing)).rejects.toMatchObject({ name: "DataError" });
    await expect(async () => {
      for await (const _ of fineTune(missing)) expect.unreachable();
    }).rejects.toMatchObject({ name: "DataError" });
  });
});

describe("stopping", () => {
  const reason = new Error("enough");

  test("a signal that is aborted already: nothing is read or written", async () => {
    const run = fineTune({
      ...endless,
      model: at("no-such"),
      outputDir: at("never"),
      signal: AbortSignal.abort(reason),
    });
    await expect(run).rejects.toBe(reason);
    expect(existsSync(at("never"))).toBe(false);
  });

  test("aborted while it trains: rejects with the reason, soon, and writes no model", async () => {
    const stop = new AbortController();
    const run = fineTune({ ...endless, outputDir: at("aborted"), signal: stop.signal });
    let steps = 0;
    await expect(async () => {
      for await (const event of run) if (event.type === "step" && ++steps === 10) stop.abort(reason);
    }).rejects.toBe(reason);
    expect(steps).toBeLessThan(1000);
    await expect(run).rejects.toBe(reason);
    expect(existsSync(at("aborted"))).toBe(false);
  });

  test("aborted when it has ended: the result stands", async () => {
    const stop = new AbortController();
    const run = fineTune({ ...data, maxSteps: 1, outputDir: at("ended"), signal: stop.signal });
    const result = await run;
    stop.abort(reason);
    expect(await run).toBe(result);
  });

  test("leaving the iteration early stops the work", async () => {
    const run = fineTune({ ...endless, outputDir: at("left") });
    for await (const event of run) if (event.type === "step") break;
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    expect(existsSync(at("left"))).toBe(false);
  });

  test("leaving the scope of `await using` stops the work and waits for it", async () => {
    let kept: PromiseLike<unknown>;
    {
      await using run = fineTune({ ...endless, outputDir: at("scoped") });
      kept = run;
      const events = run[Symbol.asyncIterator]();
      for (let type = ""; type !== "step"; ) type = (await events.next()).value!.type;
    }
    await expect(kept).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("loadModel", () => {
  test("predicts texts and pairs, in order; nothing of nothing", async () => {
    await using model = await loadModel(at("out"));
    expect(model.labels).toEqual(["blue", "green", "red"]);
    const found = await model.predict(["cat the blue dog", "sun the red moon"]);
    expect(found.map(({ label }) => label)).toEqual(["blue", "red"]);
    for (const { label, score, logits } of found) {
      const weights = Array.from(logits, Math.exp);
      const sum = weights.reduce((a, b) => a + b, 0);
      expect(score).toBeCloseTo(weights[model.labels.indexOf(label)]! / sum, 5);
    }
    expect(await model.predict([{ text: "cat the", textB: "blue dog" }])).toHaveLength(1);
    expect(await model.predict([])).toEqual([]);
    const nothing = await model.hiddenStates([]);
    expect(nothing).toEqual({ hiddenStates: new Float32Array(), offsets: Int32Array.of(0), hiddenSize: 32 });
    expect(toTensor(nothing).hiddenStates.shape).toEqual([0, 32]);
    await expect(model.predict([], { signal: AbortSignal.abort("gone") })).rejects.toBe("gone");
    await model[Symbol.asyncDispose]();
    await expect(model.predict([])).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  test("hidden states go to tfjs and back unchanged", async () => {
    await using model = await loadModel(at("out"));
    const states = await model.hiddenStates(["cat the blue dog", "sun"]);
    expect([...states.offsets]).toEqual([0, 6, 9]);
    const tensors = toTensor(states);
    expect(tensors.hiddenStates.shape).toEqual([9, states.hiddenSize]);
    expect(await fromTensor(tensors)).toEqual(states);
  });

  test("aborts; after it is disposed, twice too, it says so", async () => {
    const model = await loadModel(at("out"));
    const reason = new Error("enough");
    await expect(model.predict(["a"], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await model[Symbol.asyncDispose]();
    await model[Symbol.asyncDispose]();
    await expect(model.predict(["a"])).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  test("strict refuses weights that are no numbers", async () => {
    cpSync(at("out"), at("broken"), { recursive: true });
    const file = at("broken/model.safetensors");
    const bytes = readFileSync(file);
    bytes.writeUInt32LE(0x7fc00000, bytes.length - 4);
    writeFileSync(file, bytes);
    await (await loadModel(at("broken")))[Symbol.asyncDispose]();
    await expect(loadModel(at("broken"), { strict: true })).rejects.toMatchObject({ code: "ERR_NON_FINITE" });
    await expect(fineTune({ ...data, model: at("broken"), strict: true })).rejects.toMatchObject({
      code: "ERR_NON_FINITE",
    });
  });
});

test("search: events in order, a result, a model that loads", async () => {
  const run = search({
    ...data,
    test: at("test.jsonl"),
    outputDir: at("searched"),
    nTrials: 3,
    nSeeds: 1,
    numTrainEpochs: 2,
    sampler: "random",
  });
  const phases: string[] = [];
  let ended = 0;
  for await (const event of run) {
    if (event.type === "phase") phases.push(event.phase);
    if (event.type === "trialEnd") ended++;
  }
  const result = await run;
  expect(phases).toEqual(["prepare", "search", "baseline", "retrain", "analyse", "write"]);
  expect(ended).toBe(6);
  expect(result.trials).toBe(3);
  expect(Object.keys(result.rates)).toEqual(["embeddings", "layer.0", "layer.1", "head"]);
  expect(readdirSync(at("searched")).sort()).toEqual(
    expect.arrayContaining(["layers.json", "model", "report.html", "report.json", "study.db"]),
  );
  await using model = await loadModel(at("searched/model"));
  expect(model.labels).toEqual(["blue", "green", "red"]);
});
