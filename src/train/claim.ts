/**
 * An output folder is one run's at a time: the run's claim is a file in it, so that links and relative paths meet the same claim,
 * and it says whose it is, so that one that was left by a killed process holds nobody up.
 *
 * Claims are numbered. A run takes the number after the highest by exclusive creation and then looks at the others once more; only
 * who has the folder deletes claims of the dead. With one file under one name, two runs that find it dead delete it one after the
 * other, and the second deletes the new claim of the first.
 *
 * Not here: a run on another machine, or in another container, that shares the folder; its claim counts as left behind, as a
 * container that is started again has a new name. Folders below: `fineTune` may write into the `model` of a search.
 */
import { closeSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile, unlink } from "node:fs/promises";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { ConfigError, PermafrostError } from "../errors.js";
import { makeFolder, writeError } from "../models/make-folder.js";
import { beginWorker, endWorker, isAtWork, type Worker } from "../native/worker.js";

interface Holder extends Worker {
  readonly since: string;
}

const CLAIM = /^\.permafrost\.claim-([1-9]\d*)$/;
const fileOf = (dir: string, number: number) => path.resolve(dir, `.permafrost.claim-${number}`);

/** Of this thread. */
const held = new Set<Claim>();

/**
 * Makes `dir` where it is missing and claims it until the claim is disposed; what was made goes with the claim if it is still
 * empty. Also the trial whether results find a place there, as permissions alone do not tell (root, read-only file systems).
 *
 * @throws ConfigError ERR_OUTPUT_DIR naming the option, and who has the folder or what is in the way.
 */
export async function claimOutputDir(dir: string): Promise<Disposable> {
  const made: string[] = [];
  let claim: Claim | undefined;
  try {
    claim = await takeNext(dir, made);
    // Of two that looked at the same time each sees the other here, even where a third that ended gave them different numbers.
    // One that another user left in a sticky folder stays, and is in nobody's way.
    for (const number of await leftBehind(dir, claim)) await unlink(fileOf(dir, number)).catch(() => {});
    return claim;
  } catch (error) {
    if (claim) claim[Symbol.dispose]();
    else removeFolders(made);
    throw refusal(dir, error);
  }
}

async function takeNext(dir: string, made: string[]): Promise<Claim> {
  for (let tries = 1; ; tries++) {
    made.push(...(await makeFolder(dir)));
    try {
      // The number after those that were looked at: one that came since has it already.
      return new Claim(dir, 1 + Math.max(0, ...(await leftBehind(dir))), made);
    } catch (error) {
      // Somebody was faster, or took an empty folder away with a claim that ended. In /proc no file can ever be made.
      const { code = "" } = error as NodeJS.ErrnoException;
      if (tries === 10 || !["EEXIST", "ENOENT"].includes(code)) throw error;
    }
  }
}

class Claim implements Disposable {
  readonly #file: string;
  readonly #worker = beginWorker();

  /** @throws NodeJS.ErrnoException EEXIST when the number is taken. */
  constructor(
    dir: string,
    readonly number: number,
    readonly made: readonly string[],
  ) {
    this.#file = fileOf(dir, number);
    const holder: Holder = { ...this.#worker, since: new Date().toISOString() };
    try {
      const file = openSync(this.#file, "wx");
      if (held.size === 0) process.on("exit", releaseAll);
      held.add(this);
      try {
        writeFileSync(file, `${JSON.stringify(holder)}\n`);
      } catch (error) {
        rmSync(this.#file, { force: true });
        throw error;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (!held.has(this)) return;
    try {
      // Whoever cleared the folder by hand may have begun another run in it.
      const { run } = JSON.parse(readFileSync(this.#file, "utf8")) as Holder;
      if (run === this.#worker.run) rmSync(this.#file, { force: true });
    } catch {
      // Gone already; one that cannot be removed holds nobody up from now on.
    }
    removeFolders(this.made);
    this.#release();
  }

  #release(): void {
    if (held.delete(this) && held.size === 0) process.off("exit", releaseAll);
    endWorker(this.#worker);
  }
}

/** process.exit passes `using` by: it is what a second Ctrl-C comes to. */
function releaseAll(): void {
  for (const claim of held) claim[Symbol.dispose]();
}

/** Only what is empty: results may be in it by now. */
function removeFolders(made: readonly string[]): void {
  try {
    for (const folder of [...made].reverse()) rmdirSync(folder);
  } catch {
    // Not empty, or gone.
  }
}

/**
 * The numbers of the claims in `dir` beside `own`.
 *
 * @throws ConfigError ERR_OUTPUT_DIR when one of them is held.
 */
async function leftBehind(dir: string, own?: Claim): Promise<number[]> {
  const numbers: number[] = [];
  for (const name of await readdir(dir)) {
    const number = Number(CLAIM.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(number) || number === own?.number) continue;
    const holder = await holderOf(fileOf(dir, number));
    if (holder && isHeld(holder)) throw taken(fileOf(dir, number), holder);
    numbers.push(number);
  }
  return numbers;
}

const isHeld = (holder: Partial<Holder>) => isAtWork(holder, new Date(holder.since!));

/** Null when it is gone, or was cut by a crash as it was written. */
async function holderOf(file: string): Promise<Partial<Holder> | null> {
  for (let tries = 0; tries < 10; tries++) {
    try {
      return JSON.parse(await readFile(file, "utf8")) as Partial<Holder> | null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      if (!(error instanceof SyntaxError)) throw error;
      await setTimeout(50); // between creation and content there are microseconds: half a second is a crash
    }
  }
  return null;
}

function taken(file: string, { pid, since }: Partial<Holder>): ConfigError {
  const who = pid === process.pid ? `another run of this process (${pid})` : `process ${pid}`;
  return new ConfigError("ERR_OUTPUT_DIR", "another run writes there", [
    {
      path: "output_dir",
      expected: "a folder that no other run writes into",
      received: `${path.dirname(file)} (taken by ${who} since ${since})`,
      hint: `give each run a folder of its own; if that process is not permafrost, delete ${path.basename(file)}`,
    },
  ]);
}

/** What the system refused as ERR_OUTPUT_DIR; any other error as it is. */
function refusal(dir: string, error: unknown): unknown {
  const cause = error instanceof Error && "syscall" in error ? writeError(dir, dir, error) : error;
  if (!(cause instanceof PermafrostError) || cause.code !== "ERR_WRITE") return error;
  return new ConfigError(
    "ERR_OUTPUT_DIR",
    "results cannot be written there",
    cause.issues.map((issue) => ({ ...issue, path: "output_dir", received: `${dir} (${issue.received})` })),
    { cause: error },
  );
}
