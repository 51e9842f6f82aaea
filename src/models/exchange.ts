/** Several files of a folder replaced together: staged beside each other, then moved in as one step that can be taken back. */
import { randomBytes } from "node:crypto";
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
    await clearLeft(target);
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

/** Folders of killed runs; a run at work has none here, as its target is claimed by another. */
async function clearLeft(target: string): Promise<void> {
  const base = path.basename(target);
  const isLeft = (name: string) =>
    name.startsWith(`.${base}.`) && /^[0-9a-f]{8}(\.old)?\.tmp$/.test(name.slice(base.length + 2));
  for (const place of [target, path.dirname(target)])
    for (const name of await readdir(place).catch(() => []))
      if (isLeft(name)) await clear(path.join(place, name));
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
