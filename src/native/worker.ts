/**
 * Which process runs a trial: stored with it, so that a later one can tell a trial that was killed from one that is running
 * next door.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import os from "node:os";
import { addon } from "./call.js";

export interface Worker {
  readonly host: string;
  readonly pid: number;
  /** When the process started, in the kernel's ticks since this boot; null where the system does not say (not Linux). */
  readonly started: string | null;
  /** A process may open a study several times: which of them this is. */
  readonly run: string;
}

/** Until `endWorker` it is at work. */
export function beginWorker(): Worker {
  const run = randomUUID();
  addon().beginRun(run);
  return { host: os.hostname(), pid: process.pid, started: startOf(process.pid), run };
}

export function endWorker({ run }: Worker): void {
  addon().endRun(run);
}

/**
 * Whether a worker is still at it: in a thread of this process that was not terminated, or in another process of this
 * machine. One elsewhere counts as gone: an SQLite study is on one machine, and a container that is started again has a new
 * name.
 *
 * @param worker as stored; anything else is nobody.
 * @param since when it began what it is at. Where the system does not say when a process began, one of the same number may
 *   have begun after a restart.
 */
export function isAtWork(worker: unknown, since: Date): boolean {
  const { host, pid, started, run } = (worker ?? {}) as Partial<Worker>;
  if (host !== os.hostname() || typeof pid !== "number") return false;
  if (pid === process.pid) return run !== undefined && addon().isRunning(run);
  try {
    process.kill(pid, 0); // signal 0 asks only whether it exists
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  // The id may be used again by now: then the start differs.
  if (typeof started === "string") return startOf(pid) === started;
  return since.getTime() > Date.now() - os.uptime() * 1e3;
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
