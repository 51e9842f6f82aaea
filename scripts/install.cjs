"use strict";
// install.cjs — gets a native addon into place: npm runs it on `npm ci` and `npm install`.
//
//   1. a prebuilt for this platform (prebuilds/, or the package permafrost-<platform>-<arch>), if it loads
//   2. cmake-js          needs cmake
//   3. node-gyp          needs Python and make (Visual Studio on Windows)
//   4. the compiler      needs nothing else; not on Windows
// 2 to 4 make build/Release/permafrost.node. Nothing is downloaded, except Node's headers by node-gyp on Windows.
//
//   PERMAFROST_SKIP_BUILD=1          do nothing
//   PERMAFROST_BUILD_FROM_SOURCE=1   pass over 1 (also: --from-source)
//   PERMAFROST_BUILD_TOOL=NAME       only cmake-js, node-gyp or compiler

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { root, sources, findCompiler, buildDirect } = require("./direct-build.cjs");

const ADDON = path.join(root, "build/Release/permafrost.node");
const PLATFORM = `${process.platform}-${process.arch}`;

const isSet = (name) => !["", "0", "false", undefined].includes(process.env[name]);
const say = (line) => console.log(`permafrost: ${line}`);

/** Runs a command to its end; `output` is everything it printed. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, ...options });
  return {
    ok: !result.error && result.status === 0,
    output: `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ? String(result.error) : ""}`,
  };
}

/** Loads an addon in a child process: a bad binary must not take this one down. Null if it loads, else why not. */
function loadFailure(file) {
  const result = run(process.execPath, ["-e", "require(process.argv[1])", file]);
  if (result.ok) return null;
  return result.output.split("\n").find((line) => /Error|Assertion/.test(line)) ?? "the process died";
}

/** The line of a tool's output that says most about its failure. */
function lastError(output) {
  const lines = output.split("\n").filter((line) => line.trim());
  const telling = lines.filter(
    (line) => /error|fatal|\*\*\*/i.test(line) && !/gyp ERR! (stack|not ok)|build error/.test(line),
  );
  return (telling[0] ?? lines.at(-1) ?? "no output").trim().slice(0, 200);
}

function findPrebuilt() {
  // node-gyp-build looks into build/Release first, where an older build of this checkout may lie: not here.
  process.env.PREBUILDS_ONLY = "1";
  try {
    return require("node-gyp-build").resolve(root);
  } catch {}
  try {
    return require.resolve(`permafrost-${PLATFORM}`);
  } catch {}
  return null;
}

// --- The three ways to compile. Each returns { ok, reason, output }. ---------------------------------------------------

function withCmakeJs() {
  if (!run("cmake", ["--version"]).ok) return { ok: false, reason: "cmake is not installed or does not run" };
  let cli;
  try {
    cli = path.join(path.dirname(require.resolve("cmake-js/package.json")), "bin/cmake-js");
  } catch {
    return { ok: false, reason: "the package cmake-js is not installed" };
  }
  const folder = path.join(root, "build/cmake");
  const args = ["-O", folder, "-p", String(os.availableParallelism())];
  const configure = () => run(process.execPath, [cli, "configure", ...args]);
  let step = configure();
  if (!step.ok) {
    // A cache of another place, compiler or generator is the usual reason.
    fs.rmSync(folder, { recursive: true, force: true });
    step = configure();
  }
  if (step.ok) step = run(process.execPath, [cli, "build", ...args]);
  return { ...step, reason: `cmake-js failed: ${lastError(step.output)}` };
}

function withNodeGyp() {
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  const cli = [
    process.env.npm_config_node_gyp,
    path.join(prefix, "lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js"),
    path.join(path.dirname(process.execPath), "node_modules/npm/node_modules/node-gyp/bin/node-gyp.js"),
  ].find((file) => file && fs.existsSync(file));
  if (!cli) return { ok: false, reason: "npm's node-gyp was not found" };
  const args = [cli, "configure", "build", "--loglevel=warn", `--jobs=${os.availableParallelism()}`];
  if (process.platform !== "win32") args.push(`--nodedir=${nodeFolder(prefix)}`);
  const step = run(process.execPath, args);
  if (/find Python|Could not find any Python/i.test(step.output) && !step.ok) {
    return { ...step, reason: "node-gyp needs Python" };
  }
  return { ...step, reason: `node-gyp failed: ${lastError(step.output)}` };
}

/** A folder with include/node for node-gyp: Node's own, or one made of node-api-headers, so that it downloads nothing. */
function nodeFolder(prefix) {
  if (fs.existsSync(path.join(prefix, "include/node/common.gypi"))) return prefix;
  const folder = path.join(root, "build/node");
  const include = path.join(folder, "include/node");
  fs.mkdirSync(include, { recursive: true });
  fs.cpSync(require("node-api-headers").include_dir, include, { recursive: true });
  fs.writeFileSync(path.join(include, "config.gypi"), JSON.stringify({ target_defaults: {}, variables: {} }));
  fs.writeFileSync(
    path.join(include, "common.gypi"),
    JSON.stringify({
      target_defaults: { default_configuration: "Release", configurations: { Release: {} } },
    }),
  );
  return folder;
}

async function withCompiler() {
  if (process.platform === "win32") return { ok: false, reason: "not on Windows" };
  const { compiler, tried } = findCompiler();
  if (!compiler) return { ok: false, reason: tried.join(", ") };
  const link =
    process.platform === "darwin"
      ? ["-bundle", "-undefined", "dynamic_lookup"]
      : ["-shared", "-Wl,-z,nodelete"];
  const step = await buildDirect({
    compiler,
    files: sources("core", "kernels", "addon"),
    output: ADDON,
    objects: path.join(root, "build/direct"),
    flags: [
      "-DNAPI_VERSION=8",
      "-DNODE_ADDON_API_CPP_EXCEPTIONS",
      "-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      "-DNODE_GYP_MODULE_NAME=permafrost",
      "-isystem",
      path.dirname(require.resolve("node-addon-api")),
      "-isystem",
      require("node-api-headers").include_dir,
    ],
    link,
  });
  return { ...step, reason: `${compiler} failed: ${lastError(step.output)}` };
}

// --- What to say when nothing worked ----------------------------------------------------------------------------------

function compilerPackage() {
  if (process.platform === "darwin") return "xcode-select --install";
  if (process.platform === "win32") {
    const workload = "--wait --passive --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended";
    return `winget install Microsoft.VisualStudio.2022.BuildTools --override "${workload}"`;
  }
  let release = "";
  try {
    release = fs.readFileSync("/etc/os-release", "utf8");
  } catch {}
  const like = /^ID(_LIKE)?=.*$/gm;
  const names = (release.match(like) ?? []).join(" ");
  if (/debian|ubuntu/.test(names)) return "sudo apt-get install g++";
  if (/fedora|rhel|centos|amzn/.test(names)) return "sudo dnf install gcc-c++";
  if (/alpine/.test(names)) return "sudo apk add g++";
  if (/arch/.test(names)) return "sudo pacman -S gcc";
  if (/suse/.test(names)) return "sudo zypper install gcc-c++";
  return "install g++ 11 or newer, or clang++ 14 or newer";
}

/** Commands, most likely cure first. */
function advice(attempts) {
  const again = ["npm rebuild permafrost --foreground-scripts      (in a clone: npm run build:native)"];
  if (attempts.some(({ output }) => isSourceError(output))) {
    return [
      "CXX=clang++ npm run build:native      (the compiler refused the code: try another, g++ 11 or clang++ 14)",
    ];
  }
  if (process.platform !== "win32" && findCompiler().compiler) return again;
  return [compilerPackage(), ...again];
}

/** The compiler refused our own code: another build tool would only repeat it. "file:1:2: error:", with MSVC "file(1,2): error C1:". */
const isSourceError = (output) =>
  /(^|[\s/\\])native[/\\]\S+(:\d+:\d+|\(\d+(,\d+)?\)) ?: (fatal )?error\b/m.test(output ?? "");

async function main() {
  if (isSet("PERMAFROST_SKIP_BUILD")) return say("PERMAFROST_SKIP_BUILD is set: no addon built");

  if (!isSet("PERMAFROST_BUILD_FROM_SOURCE") && !process.argv.includes("--from-source")) {
    const prebuilt = findPrebuilt();
    const failure = prebuilt && loadFailure(prebuilt);
    if (prebuilt && !failure) return say(`using the prebuilt ${path.relative(root, prebuilt)}`);
    if (failure) say(`${prebuilt} does not load (${failure}): compiling`);
  }

  const tools = { "cmake-js": withCmakeJs, "node-gyp": withNodeGyp, compiler: withCompiler };
  const only = process.env.PERMAFROST_BUILD_TOOL;
  if (only && !(only in tools)) {
    console.error(
      `PERMAFROST_BUILD_TOOL: expected one of ${Object.keys(tools).join(", ")}, received ${only}`,
    );
    process.exit(2);
  }
  const attempts = [];
  for (const [name, build] of Object.entries(tools)) {
    if (only && name !== only) continue;
    const started = Date.now();
    say(`compiling the native core with ${name} …`);
    const attempt = await build();
    if (attempt.ok) {
      const failure = loadFailure(ADDON);
      if (!failure) {
        return say(
          `built ${path.relative(root, ADDON)} with ${name} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
        );
      }
      attempt.reason = `built, but it does not load: ${failure}`;
    }
    say(`${name}: ${attempt.reason}`);
    attempts.push({ name, ...attempt });
    if (isSourceError(attempt.output)) break;
  }

  for (const { name, output } of attempts) {
    if (output) console.error(`\n--- ${name} ---\n${output.split("\n").slice(-60).join("\n").trim()}`);
  }
  console.error(
    [
      "",
      `permafrost could not build its native core on ${PLATFORM} (${os.release()}, Node ${process.versions.node}).`,
      "Tried:",
      ...attempts.map(({ name, reason }) => `  ${name.padEnd(9)} ${reason}`),
      "What to do:",
      ...advice(attempts).map((line) => `  ${line}`),
    ].join("\n"),
  );
  process.exit(1);
}

main();
