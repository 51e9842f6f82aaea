import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { NativeError } from "../errors.js";

// One `require` for the ESM and the CommonJS build: it has one cache for each thread, so both get the same addon.
const require = createRequire(import.meta.url);

const platform = `${process.platform}-${process.arch}`;

/** A place the addon may be in, and why it was not loaded from there. */
interface Attempt {
  readonly place: string;
  readonly error: string;
}

let loaded: unknown;

/**
 * The native addon, loaded once for each thread.
 *
 * Looked for, in this order: the file `PERMAFROST_ADDON` names (then nowhere else), `build/Release`,
 * `prebuilds/<platform>-<arch>`, the package `permafrost-<platform>-<arch>`. The first that loads wins.
 *
 * @throws NativeError `ERR_ADDON_LOAD` with every place, what went wrong there, and the commands to try.
 */
export function loadAddon(): unknown {
  if (loaded !== undefined) return loaded;
  const root = packageRoot();
  const attempts: Attempt[] = [];
  for (const place of candidates(root)) {
    try {
      loaded = require(place.request);
      return loaded;
    } catch (error) {
      attempts.push({ place: place.name, error: reasonOf(error, place.request) });
    }
  }
  throw new NativeError("ERR_ADDON_LOAD", explain(attempts, root));
}

/** The folder of permafrost's package.json, from `src/native/` as well as from anywhere in `dist/`. */
function packageRoot(): string {
  const start = path.dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = path.dirname(folder)) {
    const file = path.join(folder, "package.json");
    if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "permafrost") return folder;
    if (folder === path.dirname(folder)) return start;
  }
}

interface Candidate {
  readonly name: string;
  /** What to give to `require`. */
  readonly request: string;
}

function candidates(root: string): Candidate[] {
  const override = process.env.PERMAFROST_ADDON;
  if (override) return [{ name: `PERMAFROST_ADDON=${override}`, request: path.resolve(override) }];
  const built = path.join(root, "build", "Release", "permafrost.node");
  return [
    { name: built, request: built },
    ...prebuilds(root).map((file) => ({ name: file, request: file })),
    { name: `permafrost-${platform}`, request: `permafrost-${platform}` },
  ];
}

/** Files for this platform and libc, best first, by node-gyp-build's names: `prebuilds/linux-x64/permafrost.napi.glibc.node`. */
function prebuilds(root: string): string[] {
  const { parseTags, matchTags, compareTags } = require("node-gyp-build") as PrebuildNames;
  const folder = path.join(root, "prebuilds", platform);
  if (!existsSync(folder)) return [path.join(folder, "permafrost.node")];
  return readdirSync(folder)
    .map(parseTags)
    .filter(matchTags("node", process.versions.modules))
    .sort(compareTags("node"))
    .map((tags) => path.join(folder, tags!.file));
}

/** The part of node-gyp-build that reads file names; its own lookup would take an older `build/Debug` silently. */
interface PrebuildNames {
  parseTags(file: string): { readonly file: string } | undefined;
  matchTags(runtime: string, abi: string): (tags: { readonly file: string } | undefined) => boolean;
  compareTags(runtime: string): (a: unknown, b: unknown) => number;
}

function reasonOf(error: unknown, request: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "MODULE_NOT_FOUND") return path.isAbsolute(request) ? "no such file" : "not installed";
  return message.split("\n")[0]!.replace(`${request}: `, "");
}

function explain(attempts: readonly Attempt[], root: string): string {
  const errors = attempts.map((a) => a.error).join("\n");
  const clone = existsSync(path.join(root, "src", "native", "loader.ts"));
  const rebuild = clone
    ? "npm run build:native"
    : "PERMAFROST_BUILD_FROM_SOURCE=1 npm rebuild permafrost --foreground-scripts";
  const advice = [];
  if (process.env.PERMAFROST_ADDON) advice.push("unset PERMAFROST_ADDON, or let it name a file that loads");
  if (/invalid ELF header|wrong ELF class|mach-o|not a valid Win32|file too short/i.test(errors)) {
    advice.push("rm -rf node_modules && npm ci      (these files are damaged or of another platform)");
  }
  if (/(GLIBC|GLIBCXX|CXXABI)_[\d.]+|symbol not found/i.test(errors)) {
    advice.push(`${rebuild}      (the binary was built on a newer system)`);
  } else if (!process.env.PERMAFROST_ADDON) {
    advice.push(`${rebuild}      (compiles it here; needs g++ 11, clang++ 14 or Visual Studio 2022)`);
    advice.push("npm install without --ignore-scripts and with PERMAFROST_SKIP_BUILD unset");
  }
  return [
    `the native core could not be loaded on ${platform} (Node ${process.versions.node})`,
    "Tried:",
    ...attempts.map((a) => `  ${a.place}: ${a.error}`),
    "What to try:",
    ...advice.map((line) => `  ${line}`),
  ].join("\n");
}
