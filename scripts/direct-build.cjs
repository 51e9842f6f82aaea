"use strict";
// direct-build.cjs — compiles and links files of native/sources.json with nothing but a C++ compiler.
//
// For machines without cmake and without Python: install.cjs builds the addon with it, native-test.cjs the native tests.
// An object is compiled again when its source, any header or the command line is newer or different. Not here: Windows
// (cmake-js and node-gyp know where Visual Studio is). The flags also stand in CMakeLists.txt and binding.gyp.

const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const root = path.resolve(__dirname, "..");

const FLAGS = [
  "-std=c++20",
  "-O3",
  "-DNDEBUG",
  "-fPIC",
  "-pthread",
  "-ffp-contract=off",
  "-fvisibility=hidden",
  "-fvisibility-inlines-hidden",
  "-Wall",
  "-Wextra",
];

/** The files of some groups of native/sources.json, from the repository root. A group that is not there is empty. */
function sources(...groups) {
  const list = JSON.parse(fs.readFileSync(path.join(root, "native/sources.json"), "utf8"));
  return groups.flatMap((group) => list[group] ?? []);
}

// What the code needs of a C++20 library; GCC 11 and Clang 14 have it.
const PROBE =
  "#include <atomic>\n#include <concepts>\n#include <span>\nint main() { std::atomic<int> a{1}; a.notify_all(); }\n";

/**
 * The first compiler that takes C++20, of $CXX, c++, g++, clang++.
 * @returns {{ compiler: string | null, tried: string[] }} what was tried, a line each: "g++: not found".
 */
function findCompiler() {
  const names = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  const tried = [];
  for (const name of names) {
    const [command, ...extra] = name.split(" ");
    const version = spawnSync(command, [...extra, "--version"], { encoding: "utf8" });
    if (version.error || version.status !== 0) {
      tried.push(`${name}: ${version.error?.code === "ENOENT" ? "not found" : "does not run"}`);
      continue;
    }
    const probe = spawnSync(command, [...extra, "-std=c++20", "-fsyntax-only", "-x", "c++", "-"], {
      encoding: "utf8",
      input: PROBE,
    });
    if (probe.status === 0) return { compiler: name, tried };
    tried.push(`${name}: no C++20 (${version.stdout.split("\n")[0]})`);
  }
  return { compiler: null, tried };
}

function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => resolve({ ok: false, output: String(error) }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

const mtime = (file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;

function newestHeader(...folders) {
  let newest = -Infinity;
  for (const folder of folders) {
    if (!fs.existsSync(folder)) continue;
    for (const entry of fs.readdirSync(folder, { recursive: true })) {
      if (/\.(h|inl)$/.test(entry)) newest = Math.max(newest, mtime(path.join(folder, entry)));
    }
  }
  return newest;
}

/**
 * Compiles `files` in parallel and links them into `output`.
 *
 * @param {object} job
 * @param {string} job.compiler  as findCompiler returned it
 * @param {string[]} job.files   from the repository root
 * @param {string} job.output    absolute; its folder is made
 * @param {string} job.objects   absolute folder for object files
 * @param {string[]} job.flags   for compiling, after FLAGS
 * @param {string[]} job.link    for linking
 * @returns {Promise<{ ok: boolean, output: string }>} with what the compiler printed
 */
async function buildDirect({ compiler, files, output, objects, flags, link }) {
  const [command, ...extra] = compiler.split(" ");
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  const environment = (process.env.CXXFLAGS ?? "").split(" ").filter(Boolean);
  const compile = [
    ...extra,
    ...FLAGS,
    ...flags,
    ...environment,
    `-DPERMAFROST_VERSION="${version}"`,
    "-Inative",
  ];
  const headers = newestHeader(path.join(root, "native"), path.join(root, "tests/native"));
  fs.mkdirSync(objects, { recursive: true });
  fs.mkdirSync(path.dirname(output), { recursive: true });

  const stamp = path.join(objects, "command.txt");
  const line = [command, ...compile].join(" ");
  const sameCommand = fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === line;
  if (!sameCommand) fs.rmSync(stamp, { force: true });

  const jobs = files.map((file) => ({ file, object: path.join(objects, `${file.replaceAll("/", "-")}.o`) }));
  const stale = jobs.filter(
    ({ file, object }) => !sameCommand || mtime(object) < Math.max(headers, mtime(path.join(root, file))),
  );
  let log = "";
  let ok = true;
  const queue = [...stale];
  const worker = async () => {
    for (let job = queue.shift(); job && ok; job = queue.shift()) {
      // Written beside and renamed: a killed compiler must not leave half an object that looks fresh.
      const result = await run(command, [...compile, "-c", job.file, "-o", `${job.object}.new`]);
      log += result.output;
      if (result.ok) fs.renameSync(`${job.object}.new`, job.object);
      else ok = false;
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, os.availableParallelism()) }, worker));
  if (!ok) return { ok, output: log };
  fs.writeFileSync(stamp, line);

  if (stale.length > 0 || jobs.some(({ object }) => mtime(object) > mtime(output))) {
    const linked = await run(command, [
      ...extra,
      ...jobs.map(({ object }) => object),
      "-pthread",
      ...link,
      "-o",
      `${output}.new`,
    ]);
    log += linked.output;
    if (!linked.ok) return { ok: false, output: log };
    fs.renameSync(`${output}.new`, output);
  }
  return { ok: true, output: log };
}

module.exports = { root, sources, findCompiler, buildDirect };
