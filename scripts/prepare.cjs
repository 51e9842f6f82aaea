"use strict";
// prepare.cjs — in a clone: src/ → dist/, and the command `permafrost` in node_modules/.bin.
//
// npm runs it after `npm ci` and before `npm pack`. npm links the commands of dependencies, not a package's own: without
// the link `npx permafrost` in a clone would ask the registry.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const root = path.resolve(__dirname, "..");
const tsdown = path.join(root, "node_modules/tsdown/dist/run.mjs");

if (!fs.existsSync(tsdown)) {
  console.log("permafrost: development packages are not installed, dist/ is not built");
  process.exit(0);
}

const started = Date.now();
const built = spawnSync(process.execPath, [tsdown, "--log-level", "warn"], { cwd: root, stdio: "inherit" });
if (built.status !== 0) process.exit(built.status ?? 1);

// What an older build left: chunks have their content's hash in the name.
for (const entry of fs.readdirSync(path.join(root, "dist"), { recursive: true, withFileTypes: true })) {
  const file = path.join(entry.parentPath ?? entry.path, entry.name);
  if (entry.isFile() && fs.statSync(file).mtimeMs < started - 1000) fs.rmSync(file);
}

const commands = path.join(root, "node_modules/.bin");
const link = path.join(commands, process.platform === "win32" ? "permafrost.cmd" : "permafrost");
fs.mkdirSync(commands, { recursive: true });
fs.rmSync(link, { force: true });
if (process.platform === "win32") {
  fs.writeFileSync(link, '@node "%~dp0\\..\\..\\dist\\cli\\main.mjs" %*\r\n');
} else {
  fs.chmodSync(path.join(root, "dist/cli/main.mjs"), 0o755);
  fs.symlinkSync("../../dist/cli/main.mjs", link);
}
