import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { cpuQuota, machineMemory, machineThreads } from "../../../src/native/machine.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-machine-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let roots = 0;
/** A file system with these files. */
function rootOf(files: Readonly<Record<string, string>>): string {
  const root = path.join(folder, String(roots++));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}
const quotaOf = (files: Readonly<Record<string, string>>) => cpuQuota(rootOf(files));

test("version 2: the least of the group's quota and those above it; max is none", () => {
  const at = { "proc/self/cgroup": "0::/pod/service\n", "sys/fs/cgroup/pod/service/cpu.max": "max 100000\n" };
  expect(quotaOf(at)).toBe(Infinity);
  expect(quotaOf({ ...at, "sys/fs/cgroup/pod/cpu.max": "250000 100000\n" })).toBe(2.5);
  expect(quotaOf({ ...at, "sys/fs/cgroup/cpu.max": "40000 10000\n" })).toBe(4);
});

test("a container that sees its own groups at the top, and the path of the host's", () => {
  const group = "0::/kubepods/burstable/pod1/abc\n";
  expect(quotaOf({ "proc/self/cgroup": group, "sys/fs/cgroup/cpu.max": "150000 100000\n" })).toBe(1.5);
});

test("version 1: of the hierarchy with cpu; -1 is none", () => {
  const groups = { "proc/self/cgroup": "3:memory:/docker/a\n2:cpu,cpuacct:/docker/a\n1:name=systemd:/x\n" };
  const quota = (us: string) =>
    quotaOf({
      ...groups,
      "sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us": us,
      "sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us": "100000\n",
    });
  expect([quota("300000\n"), quota("-1\n")]).toEqual([3, Infinity]);
});

test("no groups, or none that can be read: no quota", () => {
  expect(quotaOf({})).toBe(Infinity);
  expect(quotaOf({ "proc/self/cgroup": "0::/gone\nnonsense\n" })).toBe(Infinity);
});

test("whole cores of the quota, one at least; without one those of the machine; memory alike", () => {
  const threads = (quota: string) =>
    machineThreads(rootOf({ "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota }));
  expect([threads("50000 100000"), threads("190000 100000")]).toEqual([1, 1]);
  expect([threads("max 100000"), threads("999900000 100000")]).toEqual(
    Array(2).fill(os.availableParallelism()),
  );
  expect(machineMemory()).toBeGreaterThan(0);
  expect(machineMemory()).toBeLessThanOrEqual(os.totalmem());
});
