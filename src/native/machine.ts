/** What this process may use of the machine. */
import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** Cores; of a container with a CPU quota, as many whole ones as that allows. @param root of the file system */
export const machineThreads = (root = "/"): number =>
  Math.max(1, Math.min(os.availableParallelism(), Math.floor(cpuQuota(root))));

/** Bytes; of a container, what it may use. */
export function machineMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem();
}

/**
 * CPU quota of this process's control group and of those above it, in cores; Infinity where nothing limits it. Node counts it
 * from 22.12 on (libuv 1.49). https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
 *
 * @param root of the file system.
 */
export function cpuQuota(root = "/"): number {
  const read = (...parts: string[]) => {
    try {
      return readFileSync(path.join(root, ...parts), "utf8").trim();
    } catch {
      return "";
    }
  };
  const cores = (quota: string | undefined, period: string | undefined) => {
    const share = Number(quota) / Number(period);
    return share > 0 ? share : Infinity; // "max", -1 and what is not there limit nothing
  };
  // A line a hierarchy, "0::/path" that of version 2. In a container the path may be the host's: its files are then at the top.
  let least = Infinity;
  for (const line of read("proc/self/cgroup").split("\n")) {
    const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (group === undefined || (controllers !== "" && !controllers!.split(",").includes("cpu"))) continue;
    // Version 1: "cpu", or a link of that name.
    const hierarchy = path.join("sys/fs/cgroup", controllers === "" ? "" : "cpu");
    for (let at = group; ; at = path.posix.dirname(at)) {
      const folder = [hierarchy, at];
      const [quota, period] =
        controllers === ""
          ? read(...folder, "cpu.max").split(" ")
          : [read(...folder, "cpu.cfs_quota_us"), read(...folder, "cpu.cfs_period_us")];
      least = Math.min(least, cores(quota, period));
      if (at === "/") break;
    }
  }
  return least;
}
