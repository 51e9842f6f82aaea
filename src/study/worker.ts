/**
 * Which process runs a trial: stored with it, so that a later one can tell a trial that was killed from one that is running
 * next door.
 */
import { readFileSync } from "node:fs";
import os from "node:os";

export interface Worker {
  readonly host: string;
  readonly pid: number;
  /** When the process started, in the kernel's ticks since this boot; null where the system does not say (not Linux). */
  readonly started: string | null;
}

export function thisWorker(): Worker {
  return { host: os.hostname(), pid: process.pid, started: startOf(process.pid) };
}

/**
 * Whether another process of this machine is still at it. Not our own: what it left running before this study was opened,
 * nobody is working on. A process elsewhere counts as gone: an SQLite study is on one machine, and a container that is
 * started again has a new name.
 *
 * @param worker as stored; anything else is nobody.
 */
export function isRunningElsewhere(worker: unknown): boolean {
  const { host, pid, started } = (worker ?? {}) as Partial<Worker>;
  if (host !== os.hostname() || typeof pid !== "number" || pid === process.pid) return false;
  try {
    process.kill(pid, 0); // signal 0 asks only whether it exists
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  // The id may be used again by now: then the start differs.
  return typeof started !== "string" || startOf(pid) === started;
}

/** Field 22 of /proc/PID/stat and the id of this boot. Null for a zombie too: it is dead, its parent has not noticed. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from field 3: a name may hold spaces
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return fields[0] === "Z" ? null : `${boot}:${fields[19]}`;
  } catch {
    return null;
  }
}
