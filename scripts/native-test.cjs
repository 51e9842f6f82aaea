"use strict";
// native-test.cjs — builds and runs the tests of the native core: no Node API, no Python; cmake where there is one.
//
//   npm run test:native                          all
//   npm run test:native -- --filter gemm         what follows goes to permafrost_tests
//   npm run test:native -- --sanitize            under AddressSanitizer and UndefinedBehaviorSanitizer (build/sanitize)
//   npm run test:native -- --emulate-avx512      the AVX-512 kernels on an AVX2 machine, with GCC or clang (build/emulate)

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { root, sources, findCompiler, buildDirect } = require("./direct-build.cjs");

const SANITIZERS = "address,undefined";

/** What differs from an ordinary build: folder under build/, for cmake, for the compiler alone. */
const VARIANTS = {
  tests: { cmake: [], flags: [], link: [] },
  // Optimised a little, or the sanitized run takes minutes; with assertions.
  sanitize: {
    cmake: [
      `-DPERMAFROST_SANITIZE=${SANITIZERS}`,
      "-DPERMAFROST_BUILD_BENCH=ON", // that they go on compiling, where CI has cmake
      "-DCMAKE_BUILD_TYPE=Debug",
      "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g",
    ],
    flags: [`-fsanitize=${SANITIZERS}`, "-fno-sanitize-recover=all", "-O1", "-g", "-UNDEBUG"],
    link: [`-fsanitize=${SANITIZERS}`],
  },
  // Optimised a little too: at -O3 the emulated kernels take minutes to compile.
  emulate: {
    cmake: ["-DPERMAFROST_EMULATE_AVX512=ON", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1"],
    flags: [
      "-O1",
      "-UNDEBUG",
      "-DPERMAFROST_EMULATE_AVX512",
      "-mavx2",
      "-mfma",
      "-Wno-psabi",
      "-include",
      path.join(root, "tests/native/avx512_emulated.h"),
    ],
    link: [],
  },
};

const works = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** Builds permafrost_tests; the path of the program, or null after saying why not. */
async function build(variant) {
  const folder = path.join(root, "build", variant);
  if (works("cmake")) {
    if (configureCmake(path.join(folder, "cmake"), variant))
      return buildWithCmake(path.join(folder, "cmake"));
    console.log("cmake cannot configure; compiling without it");
  }
  return buildWithCompiler(path.join(folder, "direct"), variant);
}

function configureCmake(folder, variant) {
  const args = ["-S", ".", "-B", folder, "-DPERMAFROST_BUILD_TESTS=ON", ...VARIANTS[variant].cmake];
  if (works("ninja")) args.push("-G", "Ninja");
  return spawnSync("cmake", args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] }).status === 0;
}

function buildWithCmake(folder) {
  const args = ["--build", folder, "--config", "Release", "--parallel", String(os.availableParallelism())];
  const { status, stdout, stderr } = spawnSync("cmake", args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0 || /warning:/.test(stdout)) console.error(`${stdout}${stderr}`);
  if (status !== 0) return null;
  const name = process.platform === "win32" ? "permafrost_tests.exe" : "permafrost_tests";
  return (
    [path.join(folder, name), path.join(folder, "Release", name)].find((file) => fs.existsSync(file)) ?? null
  );
}

async function buildWithCompiler(folder, variant) {
  const { compiler, tried } = findCompiler();
  if (!compiler) {
    console.error(`no C++20 compiler: ${tried.join(", ")}`);
    return null;
  }
  const { flags, link } = VARIANTS[variant];
  const program = path.join(folder, "permafrost_tests");
  const { ok, output } = await buildDirect({
    compiler,
    files: sources("core", "kernels", "tests"),
    output: program,
    objects: path.join(folder, "objects"),
    flags: ["-Itests/native", ...flags],
    link,
  });
  if (output) console.error(output);
  return ok ? program : null;
}

/**
 * Builds and runs.
 * @returns {Promise<{ passed: number, failed: number }>} a build or a crash that leaves no count is one failure.
 */
async function nativeTests({ variant = "tests", args = [] } = {}) {
  if (sources("tests").length === 0) {
    console.error("native/sources.json lists no tests");
    return { passed: 0, failed: 1 };
  }
  const program = await build(variant);
  if (!program) return { passed: 0, failed: 1 };
  const result = spawnSync(program, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
    env: { UBSAN_OPTIONS: "print_stacktrace=1", ...process.env },
  });
  process.stdout.write(result.stdout ?? "");
  const counts = [...(result.stdout ?? "").matchAll(/(\d+) passed, (\d+) failed/g)].at(-1);
  const passed = counts ? Number(counts[1]) : 0;
  const failed = counts ? Number(counts[2]) : 0;
  if (result.status === 0 && passed > 0) return { passed, failed };
  console.error(`permafrost_tests ended with ${result.signal ?? result.status}`);
  return { passed, failed: Math.max(failed, 1) };
}

module.exports = { nativeTests };

if (require.main === module) {
  const args = process.argv.slice(2);
  const options = { "--sanitize": "sanitize", "--emulate-avx512": "emulate" };
  const chosen = args.find((arg) => options[arg]);
  const variant = options[chosen] ?? "tests";
  nativeTests({ variant, args: args.filter((arg) => arg !== chosen) }).then(({ passed, failed }) => {
    console.log(`native${chosen ? ` (${variant})` : ""}: ${passed} passed, ${failed} failed`);
    process.exitCode = failed > 0 ? 1 : 0;
  });
}
