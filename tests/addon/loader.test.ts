// loader.test.ts — the addon that `npm run build:native` made loads, once for each thread, or says why not.
// How the published package finds it is in tests/e2e/install-package.test.ts.

import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, expect, test, vi } from "vitest";
import { NativeError } from "../../src/errors.js";

const built = path.resolve("build/Release/permafrost.node");

async function freshLoader() {
  vi.resetModules();
  return import("../../src/native/loader.js");
}

function failureOf(load: () => unknown): Error & { code?: string } {
  try {
    load();
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error("it loaded");
}

afterEach(() => vi.unstubAllEnvs());

test("loads once", async () => {
  const { loadAddon } = await freshLoader();
  const addon = loadAddon();
  expect(typeof addon).toBe("object");
  expect(loadAddon()).toBe(addon);
});

test("PERMAFROST_ADDON names the file to load", async () => {
  vi.stubEnv("PERMAFROST_ADDON", built);
  const { loadAddon } = await freshLoader();
  expect(loadAddon()).toBe((await freshLoader()).loadAddon());
});

test("a PERMAFROST_ADDON that is not there is an error, and no other file is taken instead", async () => {
  vi.stubEnv("PERMAFROST_ADDON", path.resolve("no/such.node"));
  const { loadAddon } = await freshLoader();
  const error = failureOf(loadAddon);
  expect(error.name).toBe(NativeError.name);
  expect(error.code).toBe("ERR_ADDON_LOAD");
  expect(
    error.message.replaceAll(path.resolve("."), "<root>").replace(/on \S+ \(Node [\d.]+\)/, "on <platform>"),
  ).toMatchInlineSnapshot(`
      "the native core could not be loaded on <platform>
      Tried:
        PERMAFROST_ADDON=<root>/no/such.node: no such file
      What to try:
        unset PERMAFROST_ADDON, or let it name a file that loads"
    `);
});

test("a file that is no addon is named with the system's own reason", async () => {
  const file = path.join(tmpdir(), `permafrost-no-addon-${process.pid}.node`);
  writeFileSync(file, "not an addon");
  vi.stubEnv("PERMAFROST_ADDON", file);
  const { loadAddon } = await freshLoader();
  const { message } = failureOf(loadAddon);
  expect(message).toContain(`PERMAFROST_ADDON=${file}: `);
  expect(message).toMatch(/file too short|invalid ELF header|mach-o|not a valid Win32|slice/i);
});

test("two worker threads load it side by side, and it stays loaded here", async () => {
  const { loadAddon } = await freshLoader();
  const names = Object.keys(loadAddon() as object).sort();
  const code =
    "require('node:worker_threads').parentPort.postMessage(Object.keys(require(process.argv[2])).sort())";
  const inWorker = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(code, { eval: true, argv: [built] });
      worker.once("message", resolve).once("error", reject);
    });
  expect(await Promise.all([inWorker(), inWorker()])).toEqual([names, names]);
  expect(Object.keys(loadAddon() as object).sort()).toEqual(names);
});
