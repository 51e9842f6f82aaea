// install.test.ts — scripts/install.cjs on machines that lack things: every way to compile, and what it says when none
// works. The code compiled is a stub of a few lines (a second each); `.ci/run` does the same with the real code.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";

const root = path.resolve(".");
const scratch = mkdtempSync(path.join(tmpdir(), "permafrost-install-"));
const platform = `${process.platform}-${process.arch}`;
let clone = "";

const CORE = `
namespace stub {
// One rounding more than an FMA has: 0 where a*b is rounded first, -2^-60 where the compiler contracted it.
#if defined(__x86_64__)
__attribute__((target("fma")))
#endif
double multiply_add(double a, double b, double c) { return a * b + c; }
}
`;
const ADDON = `
#include <napi.h>
#include <span>
namespace stub { double multiply_add(double a, double b, double c); }
Napi::Value MultiplyAdd(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) throw Napi::TypeError::New(info.Env(), "expected a number");
  double v[3];
  for (int i = 0; i < 3; ++i) v[i] = info[i].As<Napi::Number>().DoubleValue();
  std::span<const double> s(v);
  return Napi::Number::New(info.Env(), stub::multiply_add(s[0], s[1], s[2]));
}
Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("multiplyAdd", Napi::Function::New(env, MultiplyAdd));
  exports.Set("version", PERMAFROST_VERSION);
  return exports;
}
NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
`;

function has(command: string): boolean {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

function which(command: string): string | undefined {
  return spawnSync("sh", ["-c", `command -v ${command}`], { encoding: "utf8" }).stdout.trim() || undefined;
}

/** A PATH with these commands only; a text instead of a name is a script under that name. */
function pathWith(...commands: (string | { readonly name: string; readonly script: string })[]): string {
  const folder = mkdtempSync(path.join(scratch, "bin-"));
  for (const command of commands) {
    if (typeof command === "string") {
      const file = which(command);
      if (file) symlinkSync(realpathSync(file), path.join(folder, command));
    } else {
      writeFileSync(path.join(folder, command.name), `#!/bin/sh\n${command.script}\n`, { mode: 0o755 });
    }
  }
  return folder;
}

function install(env: Record<string, string> = {}, ...args: string[]) {
  const { PERMAFROST_SKIP_BUILD: _, CXXFLAGS: __, ...outer } = process.env;
  const result = spawnSync(process.execPath, ["scripts/install.cjs", ...args], {
    cwd: clone,
    encoding: "utf8",
    env: { ...outer, ...env },
  });
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}

/** Runs the built addon in a process of its own: a file that is loaded cannot be replaced under this one. */
function checkAddon(file = "build/Release/permafrost.node") {
  const code = `
    const addon = require(process.argv[1]);
    const e = 2 ** -30;
    let error = "";
    try { addon.multiplyAdd("x"); } catch ({ message }) { error = message; }
    console.log(JSON.stringify([addon.version, addon.multiplyAdd(1 + e, 1 - e, -1), error]));`;
  const { stdout } = spawnSync(process.execPath, ["-e", code, path.resolve(clone, file)], {
    encoding: "utf8",
  });
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  expect(JSON.parse(stdout)).toEqual([version, 0, "expected a number"]);
}

beforeEach(() => {
  clone = mkdtempSync(path.join(scratch, "clone-"));
  for (const file of ["scripts", "CMakeLists.txt", "binding.gyp", "package.json"]) {
    cpSync(path.join(root, file), path.join(clone, file), { recursive: true });
  }
  mkdirSync(path.join(clone, "native/addon"), { recursive: true });
  mkdirSync(path.join(clone, "native/core"));
  writeFileSync(path.join(clone, "native/core/core.cc"), CORE);
  writeFileSync(path.join(clone, "native/addon/addon.cc"), ADDON);
  writeFileSync(
    path.join(clone, "native/sources.json"),
    JSON.stringify({ core: ["native/core/core.cc"], addon: ["native/addon/addon.cc"] }),
  );
  symlinkSync(path.join(root, "node_modules"), path.join(clone, "node_modules"));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const tools = [
  ["cmake-js", has("cmake")],
  ["node-gyp", has("python3") && has("make")],
  ["compiler", process.platform !== "win32"],
] as const;

test.for(tools)("%s builds an addon that loads, throws and rounds as written", ([tool, there], { skip }) => {
  if (!there) skip(`this machine lacks what ${tool} needs`);
  const { status, output } = install({ PERMAFROST_BUILD_TOOL: tool });
  expect(output).toMatch(new RegExp(`built build/Release/permafrost.node with ${tool} in`));
  expect(status).toBe(0);
  checkAddon();
});

describe.skipIf(process.platform === "win32")("on a machine without", () => {
  const compiler = ["c++", "g++", "clang++", "as", "ld", "sh"];

  test("a working cmake and without Python, the compiler alone builds it", () => {
    const broken = {
      name: "cmake",
      script: '[ "$1" = --version ] || { echo "cmake: cannot work" >&2; exit 1; }',
    };
    const { status, output } = install({
      PATH: pathWith(...compiler, broken),
      PYTHON: "",
      npm_config_python: "",
    });
    expect(output).toContain("cmake-js: cmake-js failed");
    expect(output).toContain("node-gyp: node-gyp needs Python");
    expect(output).toContain("built build/Release/permafrost.node with compiler");
    expect(status).toBe(0);
    checkAddon();
  });

  test("a compiler, it says what was tried and what to install", () => {
    const { status, output } = install({ PATH: pathWith("sh"), PYTHON: "", npm_config_python: "", CXX: "" });
    expect(status).toBe(1);
    expect(output).toContain("permafrost could not build its native core on");
    expect(output).toMatch(/cmake-js +cmake is not installed/);
    expect(output).toMatch(/node-gyp +node-gyp needs Python/);
    expect(output).toMatch(/compiler +c\+\+: not found, g\+\+: not found, clang\+\+: not found/);
    expect(output).toMatch(/What to do:\n +\S+/);
  });
});

test.skipIf(process.platform === "win32")("a second build compiles nothing that is up to date", () => {
  const env = { PERMAFROST_BUILD_TOOL: "compiler" };
  install(env);
  const count = {
    name: "c++",
    script: 'case "$*" in *" -c "*) echo x >> compiled.txt;; esac\nexec g++ "$@"',
  };
  const other = { ...env, CXX: path.join(pathWith(count), "c++") };
  const compiled = () => readFileSync(path.join(clone, "compiled.txt"), "utf8").length / 2;
  expect(install(other).status).toBe(0);
  expect(compiled()).toBe(2); // another compiler: both files again
  expect(install(other).status).toBe(0);
  expect(compiled()).toBe(2);
  writeFileSync(path.join(clone, "native/core/core.cc"), `${CORE}// changed\n`);
  expect(install(other).status).toBe(0);
  expect(compiled()).toBe(3);
});

test("a mistake in the code is shown once, and no other tool is tried", () => {
  writeFileSync(path.join(clone, "native/core/core.cc"), "int broken( {\n");
  const { status, output } = install();
  expect(status).toBe(1);
  expect(output).toMatch(/native\/core\/core\.cc:1:\d+: error:/);
  expect(output.match(/compiling the native core with/g)).toHaveLength(1);
});

test("PERMAFROST_SKIP_BUILD does nothing; an unknown PERMAFROST_BUILD_TOOL is refused", () => {
  expect(install({ PERMAFROST_SKIP_BUILD: "1" })).toEqual({
    status: 0,
    output: "permafrost: PERMAFROST_SKIP_BUILD is set: no addon built\n",
  });
  expect(install({ PERMAFROST_BUILD_TOOL: "make" })).toEqual({
    status: 2,
    output: "PERMAFROST_BUILD_TOOL: expected one of cmake-js, node-gyp, compiler, received make\n",
  });
});

test.skipIf(process.platform === "win32")(
  "a prebuilt that loads is taken; one that does not is passed over",
  () => {
    const env = { PERMAFROST_BUILD_TOOL: "compiler" };
    install(env);
    const prebuilt = path.join(clone, "prebuilds", platform, "permafrost.node");
    mkdirSync(path.dirname(prebuilt), { recursive: true });
    cpSync(path.join(clone, "build/Release/permafrost.node"), prebuilt);
    rmSync(path.join(clone, "build"), { recursive: true });

    expect(install(env).output).toBe(
      `permafrost: using the prebuilt prebuilds/${platform}/permafrost.node\n`,
    );
    checkAddon(`prebuilds/${platform}/permafrost.node`);
    expect(install({ ...env, PERMAFROST_BUILD_FROM_SOURCE: "1" }).output).toContain("with compiler in");

    writeFileSync(prebuilt, "damaged");
    const { output } = install(env);
    expect(output).toMatch(/does not load .*: compiling/);
    expect(output).toContain("with compiler in");
  },
);

test("the lockfile names no machine's registry", () => {
  const lock = createRequire(import.meta.url)(path.join(root, "package-lock.json"));
  const packages = Object.entries<{ resolved?: string; integrity?: string; link?: boolean }>(lock.packages);
  expect(packages.filter(([, { resolved, link }]) => resolved && !link)).toEqual([]);
  const unpinned = packages.filter(([name, { integrity }]) => name.includes("node_modules/") && !integrity);
  expect(unpinned.map(([name]) => name)).toEqual(["node_modules/permafrost-demo"]);
});
