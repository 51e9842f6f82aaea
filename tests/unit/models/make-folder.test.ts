import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { writeFileAtomic } from "../../../src/models/atomic.js";
import { makeFolder } from "../../../src/models/make-folder.js";
import { temporaryFolder } from "./tiny.js";

const base = temporaryFolder();
const at = (...names: string[]) => path.join(base, ...names);

describe("makeFolder", () => {
  test("makes what is missing and says what it made", async () => {
    expect(await makeFolder(at("a", "b"))).toEqual([at("a"), at("a", "b")]);
    expect(await makeFolder(at("a", "b"))).toEqual([]);
    expect(await makeFolder(path.relative(process.cwd(), at("a", "c")))).toEqual([at("a", "c")]);
  });

  test("several at once", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => makeFolder(at("many", "x", "y"))));
    expect(made.flat().sort()).toEqual([at("many"), at("many", "x"), at("many", "x", "y")]);
  });
});

describe("a place that takes no results", () => {
  test("a file, on any level: named, and left as it is", async () => {
    writeFileSync(at("file"), "kept");
    for (const dir of [at("file"), at("file", "below", "it")])
      await expect(makeFolder(dir)).rejects.toMatchObject({
        code: "ERR_WRITE",
        issues: [{ path: dir, received: `${at("file")}: a file` }],
      });
    expect(readFileSync(at("file"), "utf8")).toBe("kept");
  });

  test.runIf(existsSync("/proc/self"))("a file system that takes no folders: at once", async () => {
    const begin = performance.now();
    await expect(makeFolder("/proc/nope/x")).rejects.toThrow(/\/proc\/nope: no folder can be made there/);
    await expect(writeFileAtomic("/proc/nope/x/y.json", "")).rejects.toMatchObject({ code: "ERR_WRITE" });
    expect(performance.now() - begin).toBeLessThan(2000);
  });

  test.skipIf(process.platform === "win32" || process.getuid?.() === 0)(
    "a folder not ours to write",
    async () => {
      mkdirSync(at("locked"));
      chmodSync(at("locked"), 0o500);
      for (const dir of [at("locked"), at("locked", "x")])
        await expect(makeFolder(dir)).rejects.toThrow(/locked.*no permission/);
    },
  );

  test.skipIf(process.platform === "win32")("a link that leads nowhere", async () => {
    symlinkSync(at("gone"), at("link"));
    await expect(makeFolder(at("link"))).rejects.toThrow(/a link that leads nowhere/);
    expect(existsSync(at("gone"))).toBe(false);
  });
});
