// Prediction as programs and the command line use it, mistakes included: on tiny models trained here.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { exitCodeOf } from "../../src/cli/exit.js";
import { predictCommand } from "../../src/cli/predict.js";
import { resolve } from "../../src/config/resolve.js";
import { type PredictOptions, predictOptions } from "../../src/config/schema.js";
import { fineTune, loadModel, type Model } from "../../src/index.js";
import { writeColours, writeTinyModel } from "./tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-predict-"));
const at = (name: string) => path.join(folder, name);

beforeAll(async () => {
  await writeTinyModel(at("model"));
  writeColours(at("train.jsonl"), 48, 0);
  writeColours(at("dev.jsonl"), 30, 1);
  const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl"), maxSteps: 1 };
  await fineTune({ ...files, outputDir: at("cls") });
  await fineTune({ ...files, outputDir: at("mean"), pooling: "mean" });
  cpSync(at("cls"), at("broken"), { recursive: true });
  const weights = readFileSync(at("broken/model.safetensors"));
  weights.writeUInt32LE(0x7fc00000, weights.length - 4);
  writeFileSync(at("broken/model.safetensors"), weights);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function withModel(work: (model: Model) => Promise<void>, options?: object, name = "cls") {
  await using model = await loadModel(at(name), options);
  await work(model);
}

/** What the command prints, and the code it ends with. */
async function command(rows: string, options: Omit<PredictOptions, "model">, name = "cls") {
  writeFileSync(at("rows.jsonl"), rows);
  const [out, log]: [string[], string[]] = [[], []];
  const terminal = { out: (s: string) => out.push(s), log: (s: string) => log.push(s) };
  const context = { terminal, json: true, signal: new AbortController().signal };
  const resolved = resolve(predictOptions, { ...options, model: at(name) });
  const code = await predictCommand(resolved, at("rows.jsonl"), context as never).then(
    () => 0,
    (error) => exitCodeOf(error),
  );
  return { out, log, code };
}

describe("options the model cannot meet", () => {
  test("max_length beyond the model's positions, as in training", async () => {
    const error = {
      name: "ConfigError",
      code: "ERR_MAX_LENGTH",
      message: expect.stringMatching(/at most 128/),
    };
    await expect(loadModel(at("cls"), { maxLength: 600 })).rejects.toMatchObject(error);
    expect(await command('{"text":"cat"}', { maxLength: 600 })).toMatchObject({ out: [], code: 2 });
  });

  test.each([
    ["cls", "mean"],
    ["mean", "cls"],
  ] as const)("a folder trained with %s pooling is not read with %s", async (name, pooling) => {
    await expect(loadModel(at(name), { pooling })).rejects.toMatchObject({
      name: "ConfigError",
      code: "ERR_POOLING",
      issues: [{ path: "pooling", expected: `${name}, or not given`, received: pooling }],
    });
    await withModel(
      async (model) => expect(await model.predict(["cat"])).toHaveLength(1),
      { pooling: name },
      name,
    );
  });
});

describe("texts", () => {
  test("what is no array of texts is named", () =>
    withModel(async (model) => {
      const given = async (texts: unknown) => model.predict(texts as string[]);
      await expect(given("hello")).rejects.toMatchObject({
        name: "ConfigError",
        issues: [{ path: "texts", expected: "an array of texts", received: "a string" }],
      });
      await expect(given(undefined)).rejects.toMatchObject({ code: "ERR_TEXTS" });
      await expect(
        given(["a", null, { text: 5 }, { txt: "a" }, { text: "a", textB: 1 }]),
      ).rejects.toMatchObject({
        name: "DataError",
        code: "ERR_TEXTS",
        issues: [
          { path: "texts[1]", received: "null" },
          { path: "texts[2]", received: "an object {text: number}" },
          { path: "texts[3]", received: "an object {txt: string}" },
          { path: "texts[4]", received: "an object {text: string, textB: number}" },
        ],
      });
      await expect(model.hiddenStates("hello" as never)).rejects.toMatchObject({ code: "ERR_TEXTS" });
    }));

  test("single texts and pairs in one call: each as it would be alone", () =>
    withModel(async (model) => {
      const texts = ["cat the", { text: "red sun", textB: "blue dog" }, { text: "moon" }];
      const together = await model.predict(texts);
      for (const [i, text] of texts.entries()) expect([together[i]]).toEqual(await model.predict([text]));
      expect((await command('{"text":"cat"}\n{"text":"cat","text_b":"dog"}', {})).out).toHaveLength(2);
    }));

  test("cut texts are counted", () =>
    withModel(
      async (model) => {
        const before = model.notices;
        await model.predict(["cat dog"]);
        expect(model.notices).toEqual(before);
        await model.predict(["cat dog sun moon", "cat"]);
        expect(model.notices).toEqual([...before, "1 of 3 texts were cut at 5 tokens"]);
      },
      { maxLength: 5 },
    ));

  test("the command says it on stderr, and what else is odd", async () => {
    const { out, log, code } = await command('{"text":"cat dog sun moon","id":1}', { maxLength: 5 });
    expect([out.length, code]).toEqual([1, 0]);
    expect(log).toEqual([expect.stringMatching(/columns not used: id/), "1 of 1 texts were cut at 5 tokens"]);
  });
});

test("weights that are no numbers: noticed when loaded, an error naming the row when used", () =>
  withModel(
    async (model) => {
      expect(model.notices).toEqual([expect.stringMatching(/NaN or infinite weights/)]);
      await expect(model.predict(["cat"])).rejects.toMatchObject({
        name: "ModelError",
        code: "ERR_NON_FINITE",
        issues: [
          { path: "texts:1 (row 1)", expected: "finite logits", received: expect.stringMatching(/^NaN/) },
        ],
      });
      expect(await command('{"text":"cat"}', {}, "broken")).toMatchObject({
        out: [],
        log: [expect.stringMatching(/NaN/)],
        code: 2,
      });
    },
    {},
    "broken",
  ));

test("aborted after it was disposed, while it predicts: nothing is thrown where nobody can catch it", async () => {
  const texts = Array.from({ length: 4000 }, (_, i) => `cat the red dog sun moon ${i}`);
  const thrown = vi.fn();
  process.on("uncaughtExceptionMonitor", thrown);
  try {
    for (const wait of [1, 3, 10, 30]) {
      const [model, stop] = [await loadModel(at("cls")), new AbortController()];
      const [running] = [model.predict(texts, { signal: stop.signal }).catch((error: unknown) => error)];
      await new Promise((done) => setTimeout(done, wait));
      const disposed = model[Symbol.asyncDispose]();
      stop.abort();
      await Promise.all([running, disposed]);
    }
    await new Promise((done) => setImmediate(done)); // where Node throws what a listener threw
  } finally {
    process.off("uncaughtExceptionMonitor", thrown);
  }
  expect(thrown).not.toHaveBeenCalled();
});

test("disposed while it predicts: every call in flight rejects with ERR_DISPOSED", async () => {
  const texts = Array.from({ length: 2000 }, (_, i) => `cat the red dog sun moon ${i}`);
  // At several moments: while rows are copied in, a session is made, layers are computed.
  for (const wait of [0, 1, 3, 10, 30]) {
    const model = await loadModel(at("cls"));
    const running = [model.predict(texts), model.predict(texts), model.hiddenStates(texts)];
    const settled = Promise.allSettled(running);
    await new Promise((done) => setTimeout(done, wait));
    await model[Symbol.asyncDispose]();
    for (const result of await settled) {
      if (result.status === "rejected")
        expect(result.reason).toMatchObject({ name: "ConfigError", code: "ERR_DISPOSED" });
      else expect(result.value).toBeTruthy();
    }
    if (wait === 0) expect((await settled).map(({ status }) => status)).toContain("rejected");
  }
});
