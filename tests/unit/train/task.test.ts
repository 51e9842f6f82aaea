import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { resolve } from "../../../src/config/resolve.js";
import { trainOptions } from "../../../src/config/schema.js";
import { openTask } from "../../../src/train/task.js";
import { writeTinyModel } from "../../e2e/tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-task-"));
const at = (name: string) => path.join(folder, name);
beforeAll(() => writeTinyModel(at("model")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, lines: readonly string[]): string {
  writeFileSync(at(name), `${lines.join("\n")}\n`);
  return at(name);
}

test("the notices begin with the newly initialised tensors and the classes; integers and floats are one class", async () => {
  const train = write("train.csv", ["text,label", "red cat,0", "blue dog,1", "green sun,2", "the moon,2"]);
  const validation = write("dev.csv", ["Text, Label, id", "a tree,0.0,7", "a stone, 2.0,8"]);
  const { config } = resolve(trainOptions, { model: at("model"), train, validation, outputDir: at("out") });
  await using task = await openTask(config);
  expect(task.labels.names).toEqual(["0", "1", "2"]);
  expect(Array.from(task.splits.validation.encoded.labels)).toEqual([0, 2]);
  expect(task.notices).toEqual([
    expect.stringContaining("newly initialised"),
    "3 classes, 1 to 2 training rows each",
    `${train}: 2 of 3 classes have a single row: is label a column of ids, or exchanged with text?`,
    `${validation}: no row of 1 of the 3 classes of ${train} ("1"): nothing is measured on them`,
    `${validation}: columns not used: id`,
  ]);
});

test("texts that two files share are said of every pair", async () => {
  const rows = (...texts: string[]) => ["text,label", ...texts.map((text, i) => `${text},${i % 2}`)];
  const train = write("a.csv", rows("red cat", "blue dog", "green sun", "a tree"));
  const validation = write("b.csv", rows("red cat", "the moon"));
  const test = write("c.csv", rows("blue dog", "the moon"));
  const { config } = resolve(trainOptions, {
    model: at("model"),
    train,
    validation,
    test,
    outputDir: at("out"),
  });
  await using task = await openTask(config);
  const said = [
    [validation, train],
    [test, train],
    [test, validation],
  ];
  expect(task.overlaps).toHaveLength(3);
  for (const [i, files] of said.entries()) for (const file of files) expect(task.overlaps[i]).toContain(file);
});

test("texts are cut at maxLength, which is said", async () => {
  const train = write("long.csv", ["text,label", "red cat the moon,0", "blue dog,1", "red,0"]);
  const given = { model: at("model"), train, validation: train, outputDir: at("out"), maxLength: 4 };
  await using task = await openTask(resolve(trainOptions, given).config);
  expect(Array.from(task.splits.train.encoded.offsets)).toEqual([0, 4, 8, 11]);
  expect(task.notices).toContain(`${train}: 1 texts were cut at 4 tokens`);
});

test("an abort while a task is made: the signal's reason, whenever it comes", async () => {
  const rows = Array.from({ length: 500 }, (_, i) => `red cat ${i},${i % 2}`);
  const train = write("abort.csv", ["text,label", ...rows]);
  const { config } = resolve(trainOptions, {
    ...{ model: at("model"), train, validation: train, outputDir: at("out") },
  });
  let aborted = 0;
  for (let turns = 0; ; turns = 2 * turns + 1) {
    const controller = new AbortController();
    let left = turns;
    const count = () => (left-- > 0 ? setImmediate(count) : controller.abort(new Error("enough")));
    count();
    const outcome = await openTask(config, controller.signal).catch((error: Error) => error);
    left = 0;
    if (!(outcome instanceof Error)) {
      await outcome[Symbol.asyncDispose]();
      break;
    }
    expect(outcome.message).toBe("enough");
    aborted++;
  }
  expect(aborted).toBeGreaterThan(2);
});
