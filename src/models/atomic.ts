/**
 * Files that are there whole or not at all: written beside their place, flushed to the disk, then renamed over it. A crash
 * leaves the old file, or a temporary one whose name ends in ".tmp".
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PermafrostError } from "../errors.js";
import { makeFolder } from "./make-folder.js";

/**
 * Writes through `write` and puts the result in place; parent folders are made.
 *
 * @throws PermafrostError ERR_WRITE naming the file when the system refuses (no space, read-only, …); nothing stays behind.
 *   What `write` itself throws on purpose comes through unchanged.
 */
export async function writeAtomic(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await makeFolder(path.dirname(file));
    const handle = await open(temporary, "wx");
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await move(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw asWriteError(error, file);
  }
}

/** `contents` as the whole of `file`. */
export function writeFileAtomic(file: string, contents: string | Uint8Array): Promise<void> {
  return writeAtomic(file, (handle) => handle.writeFile(contents));
}

/** `value` as JSON of two-space indent, as Hugging Face writes it. Non-finite numbers become null: JSON has none. */
export function writeJsonAtomic(file: string, value: unknown): Promise<void> {
  return writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * rename. On Windows it is tried again for ten seconds: a virus scanner may hold for a moment what was just written, and with it
 * the folder it is in.
 */
export async function move(from: string, to: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (let wait = 10; ; wait = Math.min(2 * wait, 500)) {
    try {
      return await rename(from, to);
    } catch (error) {
      const passing = process.platform === "win32" && HELD.has((error as NodeJS.ErrnoException).code ?? "");
      if (!passing || performance.now() > deadline) throw error;
    }
    await sleep(wait);
  }
}
const HELD: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EBUSY"]);

/** A system error as ERR_WRITE; any other error as it is. */
export function asWriteError(error: unknown, file: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof PermafrostError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error;
  const issue = { path: file, expected: "a file that can be written", received: REASONS[code] ?? code };
  return new PermafrostError("ERR_WRITE", `${file}: not written`, [issue], { cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the device",
  EROFS: "a read-only file system",
  EACCES: "no permission",
  EPERM: "not permitted, or on Windows open in a program",
  EBUSY: "in use",
  ENOENT: "no such folder, and none can be made",
  ENOTDIR: "a file where a folder should be",
  EISDIR: "a folder",
};

/** Makes a rename itself durable. Windows cannot open a folder, and needs no flush. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch {
    // Some file systems refuse to flush a folder; the rename is done all the same.
  } finally {
    await handle?.close();
  }
}
