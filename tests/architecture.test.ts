// architecture.test.ts — reads the import and include lines and fails on an arrow drawn backwards.
//
//   cli, index ▸ config ▸ search ▸ study | train ▸ native      analysis and report see records only
//   native/addon ▸ native/core ▸ native/kernels                only the addon knows Node
//
// The tables below are the rule. A unit is a folder of src/ (or native/), or a file that lies directly in it.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/**
 * What each unit may import beside itself and what is ALWAYS allowed. "study" is the whole folder, "study/types.ts" that file alone,
 * "type study" types alone, "*" everything but cli and the entry points.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // A client of the API: the option tables and what reads a file or the machine are beside it.
  cli: ["index.ts", "config", "analysis/words.ts", "data/reader.ts", "models/atomic.ts", "native"],
  "index.ts": ["*"],
  "tfjs.ts": ["*", "type index.ts"],
  config: ["search", "study", "train", "models", "data", "native/contract.ts"],
  search: ["study", "train", "analysis", "report", "models", "data", "native", "events.ts", "type config"],
  study: ["random", "native/worker.ts"],
  train: ["native", "models", "data", "events.ts"],
  models: ["data/types.ts", "random"],
  data: ["models/types.ts", "random"],
  native: [],
  // Generators shared by what must give the same numbers everywhere.
  random: [],
  analysis: ["type study/types.ts", "random"],
  report: ["analysis", "type study/types.ts"],
  "events.ts": ["type study/types.ts"],
  "run.ts": [],
  "predict.ts": ["train", "models", "data", "native"],
  "errors.ts": [],
  "abort.ts": [],
  "event-loop.ts": [],
};

/** Small tools that know nothing of the product. */
const ALWAYS = ["errors.ts", "abort.ts", "event-loop.ts"];

/** What a file of native/ may include beside its own unit; "thread_pool.h" is how a kernel runs in parallel, "spin.h" how it waits. */
const MAY_INCLUDE: Readonly<Record<string, readonly string[]>> = {
  kernels: ["core/thread_pool.h", "core/spin.h"],
  core: ["kernels/kernels.h"],
  addon: ["core", "kernels/kernels.h", "napi.h", "node_api.h"],
};

interface Arrow {
  /** File and line, from the repository root: "src/study/study.ts:3". */
  readonly at: string;
  readonly from: string;
  /** From src/ or native/: "study/types.ts". */
  readonly to: string;
  readonly typeOnly: boolean;
}

function filesIn(folder: string, extension: RegExp): string[] {
  const base = path.join(root, folder);
  if (!existsSync(base)) return [];
  return readdirSync(base, { recursive: true, encoding: "utf8" })
    .filter((file) => extension.test(file))
    .map((file) => file.split(path.sep).join("/"))
    .sort();
}

const unitOf = (file: string) => file.split("/")[0]!;

function allows(rule: string, arrow: Arrow): boolean {
  if (rule === "*") return !["cli", "index.ts", "tfjs.ts"].includes(unitOf(arrow.to));
  if (rule.startsWith("type ")) return arrow.typeOnly && allows(rule.slice(5), arrow);
  return arrow.to === rule || arrow.to.startsWith(`${rule}/`);
}

function violations(
  arrows: readonly Arrow[],
  table: Readonly<Record<string, readonly string[]>>,
  always: readonly string[],
) {
  return arrows
    .filter(({ from, to }) => from !== unitOf(to) && !always.includes(to))
    .filter((arrow) => !(table[arrow.from] ?? []).some((rule) => allows(rule, arrow)))
    .map(
      ({ at, from, to, typeOnly }) =>
        `${at}: ${from} may not import ${typeOnly ? "types of " : ""}${to}; it may import ${(table[from] ?? []).join(", ") || "nothing"}`,
    );
}

/** Imports, re-exports and dynamic imports of relative paths in one TypeScript text. */
function importsOf(file: string, text: string): Arrow[] {
  const statement =
    /(?:^|[;}\n])\s*(?:import|export)\s+(type\s+)?([^"';]*?)\s*from\s*["'](\.[^"']+)["']|(?:^|\n)\s*import\s*["'](\.[^"']+)["']|\bimport\(\s*["'](\.[^"']+)["']\s*\)/g;
  return [...text.matchAll(statement)].map((match) => {
    const request = (match[3] ?? match[4] ?? match[5])!;
    const to = path.posix.join(path.posix.dirname(file), request).replace(/\.js$/, ".ts");
    const names = match[2]
      ?.match(/^\{([^}]*)\}$/)?.[1]
      ?.split(",")
      .filter((name) => name.trim() !== "");
    const typeOnly =
      match[1] !== undefined || (names?.every((name) => name.trim().startsWith("type ")) ?? false);
    const line = text.slice(0, match.index + match[0].indexOf(request)).split("\n").length;
    return { at: `src/${file}:${line}`, from: unitOf(file), to, typeOnly };
  });
}

function includesOf(file: string, text: string): Arrow[] {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]/gm)].flatMap((match) => {
    const request = match[2]!;
    const line = text.slice(0, match.index).split("\n").length;
    const beside = path.posix.join(path.posix.dirname(file), request);
    const known = [beside, request].find((candidate) => existsSync(path.join(root, "native", candidate)));
    const isNode = /^(napi|node|node_api|js_native_api|uv|v8)[^/]*\.h$/.test(request);
    if (!known && !isNode) return []; // the standard library
    return [{ at: `native/${file}:${line}`, from: unitOf(file), to: known ?? request, typeOnly: false }];
  });
}

test("imports in src/ run left to right", () => {
  const files = filesIn("src", /\.ts$/);
  expect(files.map(unitOf).filter((unit) => !(unit in MAY_IMPORT))).toEqual([]);
  const arrows = files.flatMap((file) => importsOf(file, readFileSync(path.join(root, "src", file), "utf8")));
  expect(arrows.length).toBeGreaterThan(0);
  expect(violations(arrows, MAY_IMPORT, ALWAYS)).toEqual([]);
});

test("every relative import names a file", () => {
  const arrows = filesIn("src", /\.ts$/).flatMap((file) =>
    importsOf(file, readFileSync(path.join(root, "src", file), "utf8")),
  );
  const missing = arrows.filter(({ to }) => !existsSync(path.join(root, "src", to)));
  expect(missing.map(({ at, to }) => `${at}: ${to} is not there`)).toEqual([]);
});

test("includes in native/ run addon ▸ core ▸ kernels, and only the addon knows Node", () => {
  const files = filesIn("native", /\.(h|cc|inl|cu|cuh)$/);
  const arrows = files.flatMap((file) =>
    includesOf(file, readFileSync(path.join(root, "native", file), "utf8")),
  );
  expect(arrows.length).toBeGreaterThan(0);
  expect(violations(arrows, MAY_INCLUDE, [])).toEqual([]);
});

test("native/sources.json lists every source file once, and no other", () => {
  const groups = JSON.parse(readFileSync(path.join(root, "native/sources.json"), "utf8")) as Record<
    string,
    string[]
  >;
  for (const [group, folder] of [
    ["core", "native/core"],
    ["kernels", "native/kernels"],
    ["addon", "native/addon"],
    ["tests", "tests/native"],
  ] as const) {
    const there = filesIn(folder, /\.cc$/).map((file) => `${folder}/${file}`);
    expect([...(groups[group] ?? [])].sort(), `native/sources.json, "${group}"`).toEqual(there);
  }
});

test("the three ways to build the addon define the same for Node's headers", () => {
  const defined = (file: string) => {
    const text = readFileSync(path.join(root, file), "utf8");
    return [...new Set(text.match(/NAPI_VERSION=\d+|NODE_(ADDON_)?API_[A-Z_]*EXCEPTIONS/g))].sort();
  };
  const wanted = [
    "NAPI_VERSION=8",
    "NODE_ADDON_API_CPP_EXCEPTIONS",
    "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
  ];
  for (const file of ["CMakeLists.txt", "binding.gyp", "scripts/install.cjs"])
    expect(defined(file), file).toEqual(wanted);
});

test("only src/cli/ writes to the terminal", () => {
  const found = filesIn("src", /\.ts$/)
    .filter((file) => unitOf(file) !== "cli")
    .flatMap((file) =>
      readFileSync(path.join(root, "src", file), "utf8")
        .split("\n")
        .flatMap((text, i) =>
          /^\s*(?!\*|\/\/).*\b(console\.\w+\(|process\.(stdout|stderr)\.write)/.test(text)
            ? [`src/${file}:${i + 1}: ${text.trim()}`]
            : [],
        ),
    );
  expect(found).toEqual([]);
});

test("the reader of import lines sees every form", () => {
  const text = [
    'import { a } from "../native/a.js";',
    'import type { B } from "./b.js";',
    'import { type C, type D } from "../study/types.js";',
    "import {\n  e,\n  type F,\n} from '../train/e.js';",
    'export * from "./g.js";',
    'const h = await import("../cli/h.js");',
    'import "zod";',
  ].join("\n");
  expect(importsOf("search/x.ts", text).map(({ at, to, typeOnly }) => `${at} ${to} ${typeOnly}`)).toEqual([
    "src/search/x.ts:1 native/a.ts false",
    "src/search/x.ts:2 search/b.ts true",
    "src/search/x.ts:3 study/types.ts true",
    "src/search/x.ts:7 train/e.ts false",
    "src/search/x.ts:8 search/g.ts false",
    "src/search/x.ts:9 cli/h.ts false",
  ]);
});
