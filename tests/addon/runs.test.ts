/** Names of what goes on in a process: every thread sees those of the others, and a thread that is gone has none. */
import { once } from "node:events";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import { native } from "../golden/native.js";

const built = process.env.PERMAFROST_ADDON ?? path.resolve("build/Release/permafrost.node");
const names = ["here", "there"];
afterEach(() => names.forEach(native.endRun));

test("a name is in use until it is ended", () => {
  expect(native.isRunning("here")).toBe(false);
  native.beginRun("here");
  expect([native.isRunning("here"), native.isRunning("there")]).toEqual([true, false]);
  native.endRun("here");
  native.endRun("here");
  expect(native.isRunning("here")).toBe(false);
  expect(() => native.beginRun(3 as never)).toThrow(/name: expected a string/);
});

test("a thread sees the names of the others; terminated, it has none", async () => {
  native.beginRun("here");
  const code = `
    const { parentPort } = require("node:worker_threads");
    const native = require(${JSON.stringify(built)});
    native.beginRun("there");
    native.endRun("here"); // another thread's
    parentPort.postMessage(native.isRunning("here"));
    setInterval(() => {}, 1000);`;
  const worker = new Worker(code, { eval: true });
  expect(await once(worker, "message")).toEqual([true]);
  expect(native.isRunning("there")).toBe(true);
  await worker.terminate();
  expect([native.isRunning("here"), native.isRunning("there")]).toEqual([true, false]);
});
