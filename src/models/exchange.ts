/** Several files of a folder replaced together: staged beside each other, then moved in as one step that can be taken back. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { PermafrostError } from "../errors.js";
import { asWriteError, move, syncFolder } from "./atomic.js";
import { makeFolder } from "./make-folder.js";

export interface ExchangeOptions {
  /** The file a reader asks for first: it goes first and comes last, so that whoever finds it finds the others too. */
  readonly last: string;
  /** The file that says whose the folder is: it goes last and comes first, so that also a killed run's folder is known for ours. */
  readonly owner?: string;
  /** Files that go even when no new one comes: of another set they would say something that is not so. */
  readonly stale?: readonly string[];
}

/**
 * The files that `write` puts into the stage it is given, in `dir`. A new folder appears whole or not at all; in a folder that is
 * there already they are exchanged (see `exchange`), and other files stay. What killed runs left on their way there goes once the
 * new files are in, and not before: an old set may be in it.
 *
 * @throws PermafrostError ERR_WRITE when the system refuses; nothing has changed, or the files that could not be moved back are in
 *   the folder it names. What `write` throws on purpose comes through.
 */
export async function replaceFiles(
  dir: string,
  options: ExchangeOptions,
  write: (stage: string) => Promise<void>,
): Promise<void> {
  const target = path.resolve(dir);
  let stage: string | undefined;
  try {
    // Inside a folder that is there: what is beside it may be another file system (a mounted volume), or not ours to write.
    const base = (await stat(target).catch(() => null)) ? target : path.dirname(target);
    const place = path.join(base, `.${path.basename(target)}.${randomBytes(4).toString("hex")}.tmp`);
    await makeFolder(place);
    stage = place;
    await write(stage);
    await moveInto(stage, target, options);
    await clearLeft(base, target, options);
  } catch (error) {
    throw asWriteError(error, dir);
  } finally {
    if (stage) await clear(stage);
  }
}

const stuckIn = (aside: string, cause: unknown) =>
  new PermafrostError(
    "ERR_WRITE",
    "files that were to be replaced could not be moved back",
    [
      {
        path: aside,
        expected: "an empty folder",
        received: "the files that were there before",
        hint: "move them back to the folder above",
      },
    ],
    { cause },
  );

/** What is done is not undone because a folder stays: on Windows and NFS an open file keeps it. */
const clear = (folder: string) => rm(folder, { recursive: true, force: true }).catch(() => {});

/**
 * Stages that killed runs left in `base`, and sets of old files that the new ones have taken the place of. One without `last`, where
 * it has files at all, is of another exchange.
 */
async function clearLeft(base: string, target: string, { last }: ExchangeOptions): Promise<void> {
  for (const { name, old } of await leftIn(base, target)) {
    const files = old ? await readdir(path.join(base, name)).catch(() => []) : [];
    if (files.length === 0 || files.includes(last)) await clear(path.join(base, name));
  }
}

async function leftIn(base: string, target: string): Promise<{ name: string; old: boolean }[]> {
  const prefix = `.${path.basename(target)}.`;
  const names = await readdir(base).catch(() => []);
  return names.flatMap((name) => {
    const left = name.startsWith(prefix) && /^[0-9a-f]{8}(\.old)?\.tmp$/.exec(name.slice(prefix.length));
    return left ? [{ name, old: left[1] !== undefined }] : [];
  });
}

/** Where a run that was killed while it exchanged the files of `dir` left the old `last`; null where none was. */
export async function leftBehind(dir: string, last: string): Promise<string | null> {
  const target = path.resolve(dir);
  for (const { name, old } of await leftIn(target, target))
    if (old && existsSync(path.join(target, name, last))) return path.join(dir, name);
  return null;
}

async function moveInto(stage: string, target: string, options: ExchangeOptions): Promise<void> {
  const there = await stat(target).catch(() => null);
  if (there) await exchange(stage, target, options);
  else await move(stage, target);
  await syncFolder(there ? target : path.dirname(target));
}

/**
 * Puts the files of `stage` in the place of those of `target`. A reader in between finds no `last` and says so: a model's new
 * class names are never seen over old weights. The old files wait in a folder of their own until the new ones are in, so at
 * every moment the old set or the new one is whole in one folder; an error moves them back.
 */
async function exchange(
  stage: string,
  target: string,
  { last, owner, stale = [] }: ExchangeOptions,
): Promise<void> {
  const place = (name: string) => Number(name === last) - Number(name === owner);
  const inOrder = (names: Iterable<string>) => [...names].sort((a, b) => place(a) - place(b));
  const fresh = inOrder(await readdir(stage));
  const present = new Set(await readdir(target));
  const old = inOrder(new Set([...fresh, ...stale].filter((name) => present.has(name)))).reverse();
  const aside = `${stage.slice(0, -".tmp".length)}.old.tmp`;
  await mkdir(aside);
  const moved: [from: string, to: string][] = [];
  const moveFile = async (name: string, from: string, to: string) => {
    await move(path.join(from, name), path.join(to, name));
    moved.push([path.join(from, name), path.join(to, name)]);
  };
  try {
    for (const name of old) await moveFile(name, target, aside);
    for (const name of fresh) await moveFile(name, stage, target);
  } catch (error) {
    let stuck = false;
    for (const [from, to] of moved.reverse())
      await move(to, from).catch(() => {
        stuck = true;
      });
    if (stuck) throw stuckIn(aside, error);
    await clear(aside);
    throw error;
  }
  await clear(aside);
}
