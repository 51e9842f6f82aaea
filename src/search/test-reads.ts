/**
 * The test rows may be read once: the ledger of what was scored on them, and when. A seed that was scored is stored and is
 * not read again, so only a seed that is not in the ledger is a new look.
 */
import { StoreError } from "../errors.js";
import type { Store } from "../study/store.js";
import type { Study } from "../study/study.js";

const READ_AT = "permafrost:test_read_at";
const LEDGER = "permafrost:test_read_by";

/** Whether the comparison on test was begun: then the search has ended, with whatever trials it had. */
export const testWasRead = async (study: Study) => (await study.userAttr(LEDGER)) !== undefined;

/** The same of a study that is not opened; one that is not there has read nothing. */
export const ledgerIsBegun = async (store: Store, studyName: string) =>
  (await store.findStudy(studyName))?.userAttrs[LEDGER] !== undefined;

/**
 * Enters what is about to be scored on test.
 *
 * @param seeds names of what will be scored, `seedKey`.
 * @returns when test was read, this time included: ISO 8601 each.
 * @throws StoreError ERR_STORE_TEST_READ when others were scored before, unless `force`.
 */
export async function enterTestRead(
  study: Study,
  seeds: readonly string[],
  force: boolean,
): Promise<string[]> {
  const before = ((await study.userAttr(LEDGER)) ?? []) as string[];
  const times = ((await study.userAttr(READ_AT)) ?? []) as string[];
  if (seeds.every((seed) => before.includes(seed))) return times;
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
  await study.setUserAttrs({ [READ_AT]: now, [LEDGER]: [...new Set([...before, ...seeds])] });
  return now;
}
