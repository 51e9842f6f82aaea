import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { writeFileAtomic } from "../../../src/models/atomic.js";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof fs>();
  return { ...real, rename: vi.fn(real.rename) };
});

const held = (code: string) => Object.assign(new Error(`${code}: rename`), { code });

describe("writeFileAtomic, where a program holds the file", () => {
  let dir: string;
  const platform = process.platform;
  const on = (value: string) => Object.defineProperty(process, "platform", { value });

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), "permafrost-atomic-"));
  });
  afterEach(() => {
    on(platform);
    vi.mocked(fs.rename).mockReset();
    rmSync(dir, { recursive: true });
  });

  test.each(["EPERM", "EACCES", "EBUSY"])("waits for it on Windows (%s)", async (code) => {
    on("win32");
    vi.mocked(fs.rename).mockRejectedValueOnce(held(code)).mockRejectedValueOnce(held(code));
    await writeFileAtomic(path.join(dir, "config.json"), "{}");
    expect(fs.rename).toHaveBeenCalledTimes(3);
    expect(readFileSync(path.join(dir, "config.json"), "utf8")).toBe("{}");
    expect(readdirSync(dir)).toEqual(["config.json"]);
  });

  test.each([
    ["linux", "EPERM"],
    ["win32", "ENOSPC"],
  ])("fails at once on %s with %s, and leaves nothing", async (system, code) => {
    on(system);
    vi.mocked(fs.rename).mockRejectedValueOnce(held(code));
    await expect(writeFileAtomic(path.join(dir, "config.json"), "{}")).rejects.toMatchObject({
      code: "ERR_WRITE",
    });
    expect(fs.rename).toHaveBeenCalledTimes(1);
    expect(readdirSync(dir)).toEqual([]);
  });
});
