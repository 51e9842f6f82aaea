// The declarations in dist/, as a project in strict TypeScript reads them: Node's types, no browser's, nothing skipped.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.resolve(".");

test("they import what is typed without a browser: zod, for tfjs its tensors, and each other", () => {
  const dist = path.join(root, "dist");
  const files = readdirSync(dist).filter((file) => /\.d\.[cm]ts$/.test(file));
  expect(files.filter((file) => /^(index|tfjs)\./.test(file))).toHaveLength(4);
  const imported = files.flatMap((file) =>
    [
      ...readFileSync(path.join(dist, file), "utf8").matchAll(
        /(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']/g,
      ),
    ].map((match) => match[1]!),
  );
  const packages = new Set(imported.filter((name) => !/^\.|^node:/.test(name)));
  expect([...packages].sort()).toEqual(["@tensorflow/tfjs-core", "zod"]);
});

test("they need neither skipLibCheck nor a library beyond es2022", () => {
  const project = mkdtempSync(path.join(tmpdir(), "permafrost-types-"));
  try {
    const use = (index: string) => `import { buildReport, search } from ${JSON.stringify(index)};
export const title: string = buildReport((await search({} as never)).findings).title;
`;
    writeFileSync(path.join(project, "esm.mts"), use(path.join(root, "dist/index.mjs")));
    const flags = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022", "--module", "nodenext"];
    const types = ["--types", "node", "--typeRoots", path.join(root, "node_modules/@types")];
    const tsc = path.join(root, "node_modules/typescript/bin/tsc");
    const { stdout, status } = spawnSync(process.execPath, [tsc, ...flags, ...types, "esm.mts"], {
      cwd: project,
      encoding: "utf8",
    });
    expect(stdout).toBe("");
    expect(status).toBe(0);
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
});
