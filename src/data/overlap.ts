/** Rows that are in two files. */
import { placeOf } from "./labels.js";
import type { Dataset, Example } from "./types.js";

/**
 * A sentence for the report when rows of `other` have a text (or pair) that `train` has too, else null. Labels do not matter:
 * such a row measures memory.
 */
export function overlapNotice(train: Dataset, other: Dataset): string | null {
  const seen = new Set(train.examples.map(textKey));
  const rows = [...other.examples.keys()].filter((row) => seen.has(textKey(other.examples[row]!)));
  if (rows.length === 0) return null;
  const share = ((100 * rows.length) / other.examples.length).toFixed(1);
  const first = rows
    .slice(0, 3)
    .map((row) => placeOf(other, row))
    .join(", ");
  return (
    `${rows.length} of ${other.examples.length} rows of ${other.path} (${share} %) are also in ${train.path}, ` +
    `first ${first}: what is measured on them is memory`
  );
}

const textKey = (example: Example) => JSON.stringify([example.text, example.textB ?? null]);
