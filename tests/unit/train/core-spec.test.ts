import { existsSync, statfsSync } from "node:fs";
import os from "node:os";
import { afterEach, expect, test, vi } from "vitest";
import { coreCacheBudget } from "../../../src/train/core-spec.js";

afterEach(() => vi.unstubAllEnvs());

test("the cache's memory, and a file of eight times as much; none when it is off", () => {
  const budget = (cache: "auto" | "off") =>
    coreCacheBudget({ precision: "fp32", isa: "auto", cache, cacheGib: 0.5 });
  expect(budget("auto")).toMatchObject({ cacheBytes: 2 ** 29, cacheFileBytes: 2 ** 32 });
  expect(budget("off")).toMatchObject({ cacheBytes: 0, cacheFileBytes: 0 });
});

test("by default 1 GiB, or an eighth of the memory where that is less", () => {
  const bytes = (gib: number) =>
    coreCacheBudget({ precision: "fp32", isa: "auto", cache: "auto" }, gib * 2 ** 30).cacheBytes;
  expect([bytes(64), bytes(8), bytes(2)]).toEqual([2 ** 30, 2 ** 30, 2 ** 28]);
});

const TMPFS = 0x01021994;
const shm = process.platform === "linux" && existsSync("/dev/shm") && statfsSync("/dev/shm").type === TMPFS;

test.skipIf(!shm)("that file is not put where temporary files are memory", () => {
  vi.stubEnv("TMPDIR", "/dev/shm");
  expect(os.tmpdir()).toBe("/dev/shm");
  const { cacheDirectory } = coreCacheBudget({ precision: "fp32", isa: "auto", cache: "auto", cacheGib: 1 });
  expect(["/var/tmp", ""]).toContain(cacheDirectory);
});
