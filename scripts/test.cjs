"use strict";
// test.cjs — `npm test`: builds what is out of date, runs vitest, then the native tests, and counts them together.
//
//   npm test                      everything; the last line is "N passed, N failed"
//   npm test -- tests/unit/train  vitest alone, with these arguments

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./direct-build.cjs");
const { nativeTests } = require("./native-test.cjs");

const node = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1;

function vitest(args) {
  const report = path.join(root, "build/vitest.json");
  fs.rmSync(report, { force: true });
  const status = node(
    "node_modules/vitest/vitest.mjs",
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...args,
  );
  if (!fs.existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(fs.readFileSync(report, "utf8"));
  // A file that does not even load has no failed test, but a status.
  const failed = status === 0 ? numFailedTests : Math.max(numFailedTests, 1);
  return { passed: numPassedTests, failed, skipped: numPendingTests };
}

async function main() {
  const args = process.argv.slice(2);
  if (node("scripts/install.cjs", "--from-source") !== 0 || node("scripts/prepare.cjs") !== 0) {
    console.log("0 passed, 1 failed");
    process.exit(1);
  }
  const typescript = vitest(args);
  const native = args.length === 0 ? await nativeTests() : { passed: 0, failed: 0 };
  console.log(
    `vitest: ${typescript.passed} passed, ${typescript.failed} failed, ${typescript.skipped} skipped`,
  );
  if (args.length === 0) console.log(`native: ${native.passed} passed, ${native.failed} failed`);
  const failed = typescript.failed + native.failed;
  console.log(`${typescript.passed + native.passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main();
