/** Labels that nothing forbids but that are probably mistakes: a sentence each, null where there are none. */
import type { Pieces } from "../event-loop.js";
import { type Keyed, placeOf } from "./rows.js";
import { brief } from "./table.js";
import type { Dataset } from "./types.js";

/**
 * Labels that differ only in case or in how Unicode writes them ("é" has two forms that look the same).
 *
 * @param counts rows of each label of `train`.
 */
export function spellingNotice(train: Dataset, counts: ReadonlyMap<string, number>): string | null {
  const spellings = new Map<string, string[]>();
  for (const [label, rows] of counts) {
    const key = label.normalize("NFKC").toLowerCase();
    const spelling = `"${brief(label)}" (${rows} ${rows === 1 ? "row" : "rows"})`;
    spellings.set(key, [...(spellings.get(key) ?? []), spelling]);
  }
  const alike = [...spellings.values()].filter(({ length }) => length > 1).map((some) => some.join(" and "));
  if (alike.length === 0) return null;
  const list = [...alike.slice(0, 3), ...(alike.length > 3 ? ["…"] : [])].join(", ");
  return `${train.path}: labels that differ only in case or Unicode form are classes of their own: ${list}`;
}

/** Texts (or pairs) of `train` whose rows do not agree on the label. */
export function* contradictionNotice({ dataset: train, keys }: Keyed): Pieces<string | null> {
  const firstRows = new Map<string, number>();
  const texts = new Set<string>();
  let first = "";
  for (const [row, example] of train.examples.entries()) {
    yield;
    const key = keys[row]!;
    const other = firstRows.get(key);
    if (other === undefined) firstRows.set(key, row);
    else if (String(train.examples[other]!.label) !== String(example.label)) {
      first ||= [other, row]
        .map((r) => `"${brief(String(train.examples[r]!.label))}" at ${placeOf(train, r)}`)
        .join(" and ");
      texts.add(key);
    }
  }
  if (texts.size === 0) return null;
  const have = texts.size === 1 ? "1 text has" : `${texts.size} texts have`;
  return `${train.path}: ${have} more than one label, the first ${first}`;
}
