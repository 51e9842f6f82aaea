// install-package.test.ts — what `npm pack` would publish, unpacked into somebody's project: it holds what it needs, its
// ESM and CommonJS sides load one addon, types resolve for both, and a missing addon explains itself.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = path.resolve(".");
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
const platform = `${process.platform}-${process.arch}`;
const project = mkdtempSync(path.join(tmpdir(), "permafrost-project-"));
const installed = path.join(project, "node_modules/permafrost");
let files: string[] = [];

function node(args: readonly string[], options: { readonly input?: string } = {}) {
  const { PERMAFROST_ADDON: _, PERMAFROST_SKIP_BUILD: __, ...env } = process.env;
  const result = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8", env, ...options });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

beforeAll(() => {
  const npm = process.env.npm_execpath;
  const args = ["pack", "--ignore-scripts", "--json", "--loglevel=error", `--pack-destination=${project}`];
  const packed = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, encoding: "utf8" })
    : spawnSync("npm", args, { cwd: root, encoding: "utf8" });
  // npm 11 answers with a list, npm 12 with an object by name.
  const report = JSON.parse(packed.stdout);
  const [{ filename, files: list }] = Array.isArray(report) ? report : Object.values<never>(report);
  files = (list as { path: string }[]).map((file) => file.path);

  mkdirSync(installed, { recursive: true });
  spawnSync("tar", ["-xzf", filename, "--strip-components=1", "-C", installed], { cwd: project });
  for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) {
    const target = path.join(project, "node_modules", name);
    mkdirSync(path.dirname(target), { recursive: true });
    symlinkSync(path.join(root, "node_modules", name), target);
  }
  writeFileSync(path.join(project, "package.json"), '{ "name": "project", "private": true }\n');
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

test("holds the built library and all that compiling needs, and nothing else", () => {
  const sources = JSON.parse(readFileSync(path.join(root, "native/sources.json"), "utf8"));
  const needed = [
    ...["LICENSE", "NOTICE", "README.md", "CMakeLists.txt", "binding.gyp", "native/sources.json"],
    ...[
      "scripts/install.cjs",
      "scripts/direct-build.cjs",
      "dist/index.mjs",
      "dist/index.cjs",
      "dist/cli/main.mjs",
    ],
    ...[...sources.core, ...sources.kernels, ...sources.addon],
  ];
  expect(needed.filter((file) => !files.includes(file))).toEqual([]);
  expect(
    files.filter((file) => /^(src|tests|bench|packages|build)\/|\.(db|safetensors)$/.test(file)),
  ).toEqual([]);
});

test("every path of package.json that others read is there", () => {
  const targets: string[] = [];
  const collect = (value: unknown): void => {
    if (typeof value === "string") targets.push(value);
    else for (const inner of Object.values(value as object)) collect(inner);
  };
  collect([manifest.exports, manifest.main, manifest.module, manifest.types, manifest.bin]);
  expect(targets.filter((file) => !existsSync(path.join(installed, file)))).toEqual([]);
});

test("without an addon, the error names every place and the command to type", () => {
  const { stderr } = node(["--input-type=module"], {
    input: 'import { version } from "permafrost"; version();',
  });
  expect(stderr).toContain("ERR_ADDON_LOAD");
  expect(stderr).toContain(`${path.join("build", "Release", "permafrost.node")}: no such file`);
  expect(stderr).toContain(`permafrost-${platform}: not installed`);
  expect(stderr).toContain("PERMAFROST_BUILD_FROM_SOURCE=1 npm rebuild permafrost");
});

test("ESM and CommonJS load one addon, from prebuilds/, in one process and in worker threads", () => {
  const prebuilt = path.join(installed, "prebuilds", platform, "permafrost.node");
  mkdirSync(path.dirname(prebuilt), { recursive: true });
  cpSync(path.join(root, "build/Release/permafrost.node"), prebuilt);

  expect(node([path.join(installed, "scripts/install.cjs")]).stdout).toContain("using the prebuilt");

  writeFileSync(
    path.join(project, "both.cjs"),
    `const { Worker } = require("node:worker_threads");
     const cjs = require("permafrost");
     const inWorker = (code) => new Promise((resolve, reject) => {
       const worker = new Worker(code, { eval: true });
       worker.once("message", resolve).once("error", reject);
     });
     // What Node and the bundler add to a module is not a public name.
     const names = (m) => Object.keys(m).filter((k) => !["default", "module.exports"].includes(k) && !k.startsWith("__")).sort().join();
     import("permafrost").then(async (esm) => {
       const post = "require('node:worker_threads').parentPort.postMessage(m.version().addon)";
       console.log(JSON.stringify([
         cjs.version().addon, esm.version().addon,
         await inWorker("const m = require('permafrost'); " + post),
         await inWorker("import('permafrost').then((m) => " + post + ")"),
         names(cjs) === names(esm),
         Object.keys(require.cache).filter((f) => f.endsWith("permafrost.node")).length,
       ]));
     });`,
  );
  const { stdout, stderr } = node(["both.cjs"]);
  expect(stderr).toBe("");
  const { version } = manifest;
  expect(JSON.parse(stdout)).toEqual([version, version, version, version, true, 1]);
});

test("types resolve for ESM and CommonJS importers", () => {
  const use = `import { PermafrostError } from "permafrost";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { toTensor } from "permafrost/tfjs";
export const code: string = new PermafrostError("ERR_X", "x").code;
export const tensor: Tensor2D = toTensor({ logits: new Float32Array(2), labels: 2 });
// @ts-expect-error: typed, so not any
export const wrong: number = new PermafrostError("ERR_X", "x").code;
`;
  writeFileSync(path.join(project, "esm.mts"), use);
  writeFileSync(path.join(project, "cjs.cts"), use);
  const tsc = path.join(root, "node_modules/typescript/bin/tsc");
  const flags = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--target",
    "es2022",
    "--lib",
    "es2022,esnext.disposable,dom",
  ];
  const { stdout, status } = node([tsc, ...flags, "--module", "nodenext", "esm.mts", "cjs.cts"]);
  expect(stdout).toBe("");
  expect(status).toBe(0);
});

test("the demo package is found, and its folders are those the demo reads", () => {
  const demo = path.join(root, "node_modules/permafrost-demo");
  const there = [
    "package.json",
    "NOTICE",
    "LICENSE",
    "model/config.json",
    "model/tokenizer.json",
    "model/model.safetensors",
  ];
  const data = ["train", "dev", "test"].map((split) => `data/banking77/${split}.jsonl`);
  expect([...there, ...data].filter((file) => !existsSync(path.join(demo, file)))).toEqual([]);
  const rows = data.map((file) => readFileSync(path.join(demo, file), "utf8").trim().split("\n").length);
  expect(rows).toEqual([192, 145, 480]);
});
