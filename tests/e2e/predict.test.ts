// Prediction as programs and the command line use it, mistakes included: on tiny models trained here.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { exitCodeOf } from "../../src/cli/exit.js";
import { predictCommand } from "../../src/cli/predict.js";
import { resolve } from "../../src/config/resolve.js";
import { type PredictOptions, predictOptions } from "../../src/config/schema.js";
import { fineTune, loadModel, type Model, type TextInput } from "../../src/index.js";
import { NativeModel } from "../../src/native/model.js";
import { writeProblem } from "./tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-predict-"));
const at = (name: string) => path.join(folder, name);

beforeAll(async () => {
  await writeProblem(at);
  const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl"), maxSteps: 1 };
  await fineTune({ ...files, outputDir: at("cls") });
  await fineTune({ ...files, outputDir: at("mean"), pooling: "mean" });
  cpSync(at("cls"), at("broken"), { recursive: true });
  const weights = readFileSync(at("broken/model.safetensors"));
  weights.writeUInt32LE(0x7fc00000, weights.length - 4);
  writeFileSync(at("broken/model.safetensors"), weights);
  cpSync(at("cls"), at("no-river"), { recursive: true });
  spoilWord(at("no-river/model.safetensors"), "river");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** NaN as the first weight of a word's embedding: rows with that word have no finite logits, others are as before. */
function spoilWord(file: string, word: string) {
  const bytes = readFileSync(file);
  const size = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + size));
  const name = Object.keys(header).find((key) => key.endsWith("word_embeddings.weight"))!;
  const { vocab } = JSON.parse(readFileSync(at("cls/tokenizer.json"), "utf8")).model;
  const [from, hidden] = [header[name].data_offsets[0], header[name].shape[1]];
  bytes.writeUInt32LE(0x7fc00000, 8 + size + from + 4 * hidden * vocab[word]);
  writeFileSync(file, bytes);
}

/** Rows of several lengths: some slices of them. */
const manyTexts = (rows: number): TextInput[] =>
  Array.from({ length: rows }, (_, i) => {
    const text = "the red cat a blue dog sun moon ".repeat(1 + (i % 5)).trim();
    return i % 7 === 0 ? { text, textB: `stone ${i}` } : text;
  });

async function withModel(work: (model: Model) => Promise<void>, options?: object, name = "cls") {
  await using model = await loadModel(at(name), options);
  await work(model);
}

/** What the command prints, and the code it ends with. */
async function command(
  rows: string,
  options: Omit<PredictOptions, "model">,
  name = "cls",
  more: object = {},
) {
  writeFileSync(at("rows.jsonl"), rows);
  const [out, log, status]: [string[], string[], string[]] = [[], [], []];
  const terminal = {
    out: (text: string) => out.push(...text.split("\n")),
    log: (line: string) => log.push(line),
    status: (line: string) => status.push(`${out.length} printed: ${line}`),
  };
  const context = { terminal, json: true, signal: new AbortController().signal, ...more };
  const resolved = resolve(predictOptions, { ...options, model: at(name) });
  let error: unknown;
  await predictCommand(resolved, at("rows.jsonl"), context as never).catch((thrown) => {
    error = thrown;
  });
  return { out, log, status, error, code: error === undefined ? 0 : exitCodeOf(error) };
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
      expect(await model.predict([{ text: "red sun", text_b: "blue dog" }])).toEqual([together[1]]);
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

  test("a model cuts texts where its training did, and a training that goes on from it, unless asked otherwise", async () => {
    const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl"), maxSteps: 1 };
    await fineTune({ ...files, maxLength: 5, outputDir: at("short") });
    const logits = async (options?: object) => {
      await using model = await loadModel(at("short"), options);
      const [prediction] = await model.predict(["cat dog sun moon stone river"]);
      return [...prediction!.logits];
    };
    expect(await logits()).toEqual(await logits({ maxLength: 5 }));
    expect(await logits()).not.toEqual(await logits({ maxLength: 64 }));
    const { log } = await command('{"text":"cat dog sun moon"}', {}, "short");
    expect(log).toEqual(["1 of 1 texts were cut at 5 tokens"]);
    await fineTune({ ...files, model: at("short"), outputDir: at("trained-on") });
    await using again = await loadModel(at("trained-on"));
    await again.predict(["cat dog sun moon"]);
    expect(again.notices).toEqual(["1 of 1 texts were cut at 5 tokens"]);
  });

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

describe("requests at the same time", () => {
  afterEach(() => vi.restoreAllMocks());

  test("one session; small ones that wait are computed together, each as it would be alone", () =>
    withModel(async (model) => {
      const sessions = vi.spyOn(NativeModel.prototype, "createSession");
      const add = vi.spyOn(NativeModel.prototype, "addDataset");
      const remove = vi.spyOn(NativeModel.prototype, "removeDataset");
      const texts = Array.from({ length: 200 }, (_, i) => `cat ${"sun ".repeat(i % 9)}`);
      const together = await Promise.all(texts.map((text) => model.predict([text])));
      expect(sessions).toHaveBeenCalledTimes(1);
      // Hundreds of tokens at once, not all there are; and one such dataset in the core at a time.
      const sizes = add.mock.calls.map(([{ ids }]) => ids.length);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(512);
      expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(500);
      const order = [add, remove].map((spy) => spy.mock.invocationCallOrder);
      const inTurn = order[0]!.flatMap((added, i) => [added, order[1]![i]!]);
      expect(inTurn).toEqual([...inTurn].sort((a, b) => a - b));
      for (const [i, text] of texts.entries()) expect(together[i]).toEqual(await model.predict([text]));
    }));

  test("computed together: hidden states of each, and logits for who asks for those", () =>
    withModel(async (model) => {
      const add = vi.spyOn(NativeModel.prototype, "addDataset");
      const texts = ["cat", "the red dog", "sun moon"];
      const states = texts.map((text) => model.hiddenStates([text, text]));
      const predictions = texts.map((text) => model.predict([text]));
      await Promise.all([...states, ...predictions]);
      expect(add).toHaveBeenCalledTimes(2);
      for (const [i, text] of texts.entries()) {
        expect(await states[i]).toEqual(await model.hiddenStates([text, text]));
        expect(await predictions[i]).toEqual(await model.predict([text]));
      }
    }));

  test("computed together, one with logits that are no numbers: it alone is refused, its own row named", () =>
    withModel(
      async (model) => {
        const add = vi.spyOn(NativeModel.prototype, "addDataset");
        const texts = [["cat"], ["dog", "cat river"], ["sun"]];
        const [first, bad, last] = await Promise.allSettled(texts.map((each) => model.predict(each)));
        expect(add).toHaveBeenCalledOnce();
        expect([first!.status, last!.status]).toEqual(["fulfilled", "fulfilled"]);
        const issues = [expect.objectContaining({ path: "texts:2 (row 2)" })];
        expect(bad).toMatchObject({ reason: { code: "ERR_NON_FINITE", issues } });
      },
      {},
      "no-river",
    ));

  test("a session that could not be made is made by the next request", () =>
    withModel(async (model) => {
      const full = new Error("no memory");
      vi.spyOn(NativeModel.prototype, "createSession").mockRejectedValueOnce(full);
      await expect(model.predict(["cat"])).rejects.toBe(full);
      expect(await model.predict(["cat"])).toHaveLength(1);
    }));

  test("a small request waits for a slice of a large one, not for all of it", () =>
    withModel(async (model) => {
      const ended: string[] = [];
      const large = model.predict(manyTexts(2000)).then(() => ended.push("large"));
      await Promise.all([1, 2, 3].map((i) => model.predict(["cat"]).then(() => ended.push(`small ${i}`))));
      await large;
      expect(ended).toEqual(["small 1", "small 2", "small 3", "large"]);
    }));

  test("slices give what each row gives alone, bit for bit", () =>
    withModel(async (model) => {
      const evaluations = vi.spyOn(NativeModel.prototype, "addDataset");
      const texts = manyTexts(300);
      const predictions = await model.predict(texts);
      const { hiddenStates, offsets, hiddenSize } = await model.hiddenStates(texts);
      expect(evaluations.mock.calls.length).toBeGreaterThan(6);
      expect(offsets.length).toBe(texts.length + 1);
      for (const [i, text] of texts.entries()) {
        expect([predictions[i]]).toEqual(await model.predict([text]));
        const own = hiddenStates.slice(offsets[i]! * hiddenSize, offsets[i + 1]! * hiddenSize);
        expect(own).toEqual((await model.hiddenStates([text])).hiddenStates);
      }
    }));

  test("aborted while it waits: rejected before the one it waits for ends; what comes after is answered", () =>
    withModel(async (model) => {
      const stop = new AbortController();
      const ended: string[] = [];
      const end = (name: string) => () => ended.push(name);
      const large = model.predict(manyTexts(2000)).then(end("large"));
      const waiting = model.predict(manyTexts(500), { signal: stop.signal });
      const rejected = expect(waiting).rejects.toBe("gone").then(end("aborted"));
      const behind = model.predict(["cat"]).then(end("behind"));
      stop.abort("gone");
      await Promise.all([large, rejected, behind]);
      expect(ended).toEqual(["aborted", "behind", "large"]);
    }));

  test("aborted between its slices, or in one: the others go on", () =>
    withModel(async (model) => {
      const texts = manyTexts(1000);
      for (const wait of [1, 5, 20]) {
        const stop = new AbortController();
        // As many requests as the abort comes too early for.
        const aborted = (async () => {
          for (;;) await model.predict(texts, { signal: stop.signal });
        })();
        const other = model.predict(texts.slice(0, 200));
        setTimeout(() => stop.abort("gone"), wait);
        await expect(aborted).rejects.toBe("gone");
        expect(await other).toHaveLength(200);
      }
    }));

  test("twenty with one signal: no warning of a leak", () =>
    withModel(async (model) => {
      const warned = vi.fn();
      process.on("warning", warned);
      const { signal } = new AbortController();
      await Promise.all(Array.from({ length: 20 }, () => model.predict(["cat"], { signal })));
      await new Promise((done) => setImmediate(done));
      process.off("warning", warned);
      expect(warned).not.toHaveBeenCalled();
    }));

  test("disposed while they wait: all reject with ERR_DISPOSED", async () => {
    const model = await loadModel(at("cls"));
    const requests = [manyTexts(2000), ["cat"], ["dog"]].map((texts) => model.predict(texts));
    const settled = Promise.allSettled([...requests, model.hiddenStates(["sun"])]);
    await model[Symbol.asyncDispose]();
    for (const result of await settled)
      expect(result).toMatchObject({ status: "rejected", reason: { code: "ERR_DISPOSED" } });
  });
});

describe("the command prints rows as they are done", () => {
  const rows = (count: number, text = (_: number) => "cat the sun") =>
    Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: text(i) })}\n`).join("");

  test("slice by slice, with a line of progress between", async () => {
    const { out, status, code } = await command(rows(1500), {});
    expect([out.length, code]).toEqual([1500, 0]);
    expect(status.length).toBeGreaterThan(1);
    for (const line of status) {
      const [, printed, done] = /^(\d+) printed: [█░]+ row (\d+)\/1500 {2}.* left$/.exec(line)!;
      expect(printed).toBe(done);
    }
  });

  test("an error in a later row: the rows before stay, and it is named by its place in the file", async () => {
    const bad = rows(1500, (i) => (i === 1200 ? "cat river" : "cat the sun"));
    const { out, error, code } = await command(`\n${bad}`, {}, "no-river");
    expect([out.length > 0 && out.length <= 1200, code]).toEqual([true, 2]);
    expect(out).toEqual((await command(rows(out.length), {})).out);
    expect(error).toMatchObject({
      code: "ERR_NON_FINITE",
      issues: [{ path: `${at("rows.jsonl")}:1202 (row 1201)` }],
    });
  });

  test("stopped by Ctrl-C: whole lines stay", async () => {
    writeFileSync(at("endless.jsonl"), rows(300_000));
    const main = fileURLToPath(new URL("../../dist/cli/main.mjs", import.meta.url));
    const args = ["predict", "--model", at("cls"), "--input", at("endless.jsonl")];
    const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.stdout.setEncoding("utf8").on("data", (text) => {
      if (stdout === "") child.kill("SIGINT");
      stdout += text;
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([code, stderr]).toEqual([130, "stopped by SIGINT\n"]);
    expect(stdout).toMatch(/^((red|green|blue)\t[01]\.\d{4}\n)+$/);
    expect(stdout.split("\n").length).toBeLessThan(300_000);
  });
});

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
