/**
 * The test rows may be read once: the ledger of what was scored on them, and when. A seed that was scored is stored and is
 * not read again, so only a seed that is not in the ledger is a new look.
 */
import { StoreError } from "../errors.js";
import type { Store } from "../study/store.js";
import type { Study } from "../study/study.js";

const READ_AT = "permafrost:test_read_at";
const LEDGER = "permafrost:test_read_by";
const CHOSEN = "permafrost:chosen";
/** SHA-256 of the file of test rows, as of the last look. */
const FILE = "permafrost:test_sha256";

/** What is compared on test, by trial numbers: entered with the first look, so that who comes later compares the same. */
export interface Chosen {
  readonly perLayer: number;
  /** Null without a baseline. */
  readonly uniform: number | null;
  readonly seeds: readonly number[];
}

/** What the last look compared. */
export const chosenBefore = async (study: Study) => (await study.userAttr(CHOSEN)) as Chosen | undefined;

/** Whether the comparison on test was begun: then the search has ended, with whatever trials it had. */
export const testWasRead = async (study: Study) => (await study.userAttr(LEDGER)) !== undefined;

/** The same of a study that is not opened; one that is not there has read nothing. */
export const ledgerIsBegun = async (store: Store, studyName: string) =>
  (await store.findStudy(studyName))?.userAttrs[LEDGER] !== undefined;

/** When a study that has read test did so; empty for one that has not, or is not there. */
export const testReadTimes = async (store: Store, studyName: string) =>
  ((await store.findStudy(studyName))?.userAttrs[READ_AT] ?? []) as string[];

/** When other studies of the store read the same file, however they tokenised it. */
async function readsOfOthers(store: Store, study: Study, file: string): Promise<string[]> {
  const times: string[] = [];
  for (const name of await store.studyNames())
    if (name !== study.name && (await store.findStudy(name))?.userAttrs[FILE] === file)
      times.push(...(await testReadTimes(store, name)));
  return times;
}

export interface TestRead {
  readonly chosen: Chosen;
  /** Names of what will be scored, `seedKey`. */
  readonly seeds: readonly string[];
  /** SHA-256 of the test file. */
  readonly file: string;
  /** Take another look, which counts. */
  readonly force: boolean;
}

/**
 * Enters what is about to be scored on test. Another study of the store that read the same file holds nobody up: it may have
 * been about another model. Its reads count all the same.
 *
 * @returns when test was read, by this study and others, this time included: ISO 8601 each, in order.
 * @throws StoreError ERR_STORE_TEST_READ when others were scored before, unless `force`.
 */
export async function enterTestRead(
  store: Store,
  study: Study,
  { chosen, seeds, file, force }: TestRead,
): Promise<string[]> {
  const others = await readsOfOthers(store, study, file);
  const before = ((await study.userAttr(LEDGER)) ?? []) as string[];
  const times = ((await study.userAttr(READ_AT)) ?? []) as string[];
  if (seeds.every((seed) => before.includes(seed))) return [...others, ...times].sort();
  if (before.length > 0 && !force) {
    throw new StoreError("ERR_STORE_TEST_READ", "The test rows were read before, for other configurations", [
      {
        path: `study ${JSON.stringify(study.name)}`,
        expected: "the configurations and seeds that were scored then",
        received: `others; read at ${times.join(", ")}`,
        hint: "every look after the first makes the result too good; --force takes one, and the report says so",
      },
    ]);
  }
  const now = [...times, new Date().toISOString()];
  await study.setUserAttrs({
    [READ_AT]: now,
    [FILE]: file,
    [LEDGER]: [...new Set([...before, ...seeds])],
    [CHOSEN]: chosen,
  });
  return [...others, ...now].sort();
}
