/** Folders for results, made level by level. */
import { mkdir, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import { PermafrostError } from "../errors.js";

/**
 * Makes `dir` and the parents it lacks. Not `mkdir({ recursive: true })`: below /proc that turns for minutes (Node 20),
 * asking again and again for a parent that is there and takes no folder.
 *
 * @returns the folders made, the outermost first.
 * @throws PermafrostError ERR_WRITE naming the level that is in the way; what was made before it is removed.
 */
export async function makeFolder(dir: string): Promise<string[]> {
  const made: string[] = [];
  let at = path.resolve(dir);
  try {
    const missing: string[] = [];
    for (; !(await isFolder(at)); at = path.dirname(at)) missing.push(at);
    for (at of missing.reverse()) if (await makeOne(at)) made.push(at);
    return made;
  } catch (cause) {
    await removeFolders(made);
    throw writeError(dir, at, cause);
  }
}

/** @throws what is in the way: a file (ENOTDIR), a folder that may not be looked into (EACCES). */
async function isFolder(at: string): Promise<boolean> {
  const found = await stat(at).catch((error: NodeJS.ErrnoException) => {
    // ENOTDIR: a level above is a file, and is found on the way up.
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw error;
  });
  if (found && !found.isDirectory()) throw Object.assign(new Error("not a folder"), { code: "ENOTDIR" });
  return found !== null;
}

/** false: somebody else was faster. */
async function makeOne(at: string): Promise<boolean> {
  try {
    await mkdir(at);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST" && (await isFolder(at))) return false;
    throw error;
  }
}

/** Only what is empty: another process may have put something there. */
async function removeFolders(made: readonly string[]): Promise<void> {
  for (const folder of [...made].reverse()) await rmdir(folder).catch(() => {});
}

export function writeError(dir: string, at: string, cause: unknown): PermafrostError {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  const issue = {
    path: dir,
    expected: "a folder that can be written",
    received: `${at}: ${REASONS[code] ?? (code || message)}`,
  };
  return new PermafrostError("ERR_WRITE", `${dir}: not made`, [issue], { cause });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTDIR: "a file",
  EEXIST: "a link that leads nowhere",
  ENOENT: "no folder can be made there",
  EACCES: "no permission",
  EPERM: "no permission",
  EROFS: "a read-only file system",
  ENOSPC: "no space left on the device",
};
