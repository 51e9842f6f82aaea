import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { claimOutputDir } from "../../../src/train/claim.js";
import { temporaryFolder } from "../models/tiny.js";

const base = temporaryFolder();
const at = (...names: string[]) => path.join(base, ...names);
const refused = (dir: string, received: RegExp) => ({
  name: "ConfigError",
  code: "ERR_OUTPUT_DIR",
  issues: [{ path: "output_dir", received: expect.stringMatching(received) }],
  message: expect.stringContaining(dir),
});

describe("a folder that is claimed", () => {
  test("refuses the next, who is told who has it, until it is free; nothing stays", async () => {
    const dir = at("deep", "er");
    {
      using _claim = await claimOutputDir(dir);
      const taken = refused(dir, new RegExp(`another run of this process \\(${process.pid}\\) since 20`));
      await expect(claimOutputDir(dir)).rejects.toMatchObject(taken);
      await expect(claimOutputDir(path.relative(process.cwd(), dir))).rejects.toThrow("another run writes");
    }
    expect(readdirSync(base)).toEqual([]);
    (await claimOutputDir(dir))[Symbol.dispose]();
    expect(readdirSync(base)).toEqual([]);
  });

  test.skipIf(process.platform === "win32")("is the same under another name", async () => {
    mkdirSync(at("named"));
    symlinkSync(at("named"), at("alias"));
    using _claim = await claimOutputDir(at("named"));
    await expect(claimOutputDir(at("alias"))).rejects.toMatchObject({ code: "ERR_OUTPUT_DIR" });
  });

  test("keeps what was put into it, and its parents' own", async () => {
    mkdirSync(at("parent"));
    const claim = await claimOutputDir(at("parent", "kept"));
    writeFileSync(at("parent", "kept", "result"), "");
    claim[Symbol.dispose]();
    claim[Symbol.dispose]();
    expect(readdirSync(at("parent", "kept"))).toEqual(["result"]);
    (await claimOutputDir(at("parent", "gone")))[Symbol.dispose]();
    expect(readdirSync(at("parent"))).toEqual(["kept"]);
  });

  test("of many that ask at once one gets it, a new folder or one with a claim left behind", async () => {
    for (let round = 0; round < 20; round++) {
      const dir = at("many", String(round % 2));
      if (round % 2 === 1) leave(dir, 1 + (round % 3), {});
      const asked = await Promise.allSettled(Array.from({ length: 8 }, () => claimOutputDir(dir)));
      const got = asked.filter((result) => result.status === "fulfilled");
      expect(got).toHaveLength(1);
      got[0]!.value[Symbol.dispose]();
      expect(existsSync(dir) ? readdirSync(dir) : []).toEqual([]);
    }
  });

  test("many folders at once", async () => {
    mkdirSync(at("wide"));
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) => claimOutputDir(at("wide", `${i}`))),
    );
    expect(process.listenerCount("exit")).toBeLessThan(10);
    for (const claim of claims) claim[Symbol.dispose]();
    expect(readdirSync(at("wide"))).toEqual([]);
  });
});

/** A claim of some other process, as it would have written it. */
function leave(dir: string, number: number, holder: object | string): string {
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, `.permafrost.claim-${number}`);
  const mine = { host: os.hostname(), pid: process.pid, started: null, run: "gone", since: "2026-01-01" };
  writeFileSync(file, typeof holder === "string" ? holder : JSON.stringify({ ...mine, ...holder }));
  return file;
}

describe("a claim that was left behind", () => {
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  test.each<[string, object | string]>([
    ["by a process that is gone", { pid: dead }],
    ["by a thread that was terminated", {}],
    ["on another machine", { host: "elsewhere", pid: process.ppid }],
    ["half written", '{ "host": '],
    ["and is none of ours", "null"],
  ])("%s", async (name, holder) => {
    const dir = at(`left ${name}`);
    leave(dir, 3, holder);
    const claim = await claimOutputDir(dir);
    expect(readdirSync(dir)).toEqual([".permafrost.claim-4"]);
    claim[Symbol.dispose]();
    expect(readdirSync(dir)).toEqual([]);
  });

  test("before this machine was started, where the system does not say when a process was", async () => {
    leave(at("boot"), 1, { pid: process.ppid, started: null, since: "2000-01-01T00:00:00.000Z" });
    (await claimOutputDir(at("boot")))[Symbol.dispose]();
  });

  test.runIf(existsSync("/proc/self/stat"))("by a process whose id is another's now", async () => {
    leave(at("again"), 1, { pid: process.ppid, started: "boot:1" });
    (await claimOutputDir(at("again")))[Symbol.dispose]();
  });
});

test("a process that runs holds its claim", async () => {
  const file = leave(at("held"), 1, { pid: process.ppid, since: new Date().toISOString() });
  const taken = refused(at("held"), new RegExp(`taken by process ${process.ppid} since 20`));
  await expect(claimOutputDir(at("held"))).rejects.toMatchObject(taken);
  expect(readdirSync(at("held"))).toEqual([path.basename(file)]);
});

test("a claim that ends leaves alone what another run put in its place", async () => {
  mkdirSync(at("cleared"));
  const claim = await claimOutputDir(at("cleared"));
  rmSync(at("cleared"), { recursive: true });
  const file = leave(at("cleared"), 1, { pid: process.ppid });
  claim[Symbol.dispose]();
  expect(existsSync(file)).toBe(true);
});

describe("a place that takes no results", () => {
  test("a file, on any level: named, and left as it is", async () => {
    writeFileSync(at("file"), "kept");
    for (const dir of [at("file"), at("file", "below", "it")]) {
      await expect(claimOutputDir(dir)).rejects.toMatchObject({
        name: "ConfigError",
        code: "ERR_OUTPUT_DIR",
        issues: [{ path: "output_dir", received: `${dir} (${at("file")}: a file)` }],
      });
    }
    expect(readFileSync(at("file"), "utf8")).toBe("kept");
  });

  test.runIf(existsSync("/proc/self"))("a file system that takes no files: at once", async () => {
    const begin = performance.now();
    for (const dir of ["/proc/nope/x", "/proc"])
      await expect(claimOutputDir(dir)).rejects.toThrow(/\/proc(\/nope)?: no folder can be made there/);
    expect(performance.now() - begin).toBeLessThan(2000);
  });

  test.skipIf(process.platform === "win32" || process.getuid?.() === 0)(
    "a folder not ours to write",
    async () => {
      mkdirSync(at("locked"));
      chmodSync(at("locked"), 0o500);
      for (const dir of [at("locked"), at("locked", "x")])
        await expect(claimOutputDir(dir)).rejects.toThrow(/locked.*no permission/);
    },
  );

  test.skipIf(process.platform === "win32")("a link that leads nowhere", async () => {
    symlinkSync(at("nowhere"), at("link"));
    await expect(claimOutputDir(at("link"))).rejects.toThrow(/a link that leads nowhere/);
    expect(existsSync(at("nowhere"))).toBe(false);
  });
});
