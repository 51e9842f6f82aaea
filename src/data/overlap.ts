/** Rows that are in two files. */
import { placeOf, textKey } from "./rows.js";
import type { Dataset } from "./types.js";

/**
 * A sentence for the report when rows of `other` have a text (or pair) that `earlier` has too, else null. Labels do not matter.
 *
 * @param so what that means: a row that was trained on measures memory, one that chose makes the choice look good.
 */
export function overlapNotice(earlier: Dataset, other: Dataset, so: string): string | null {
  const seen = new Set(earlier.examples.map(textKey));
  const rows = [...other.examples.keys()].filter((row) => seen.has(textKey(other.examples[row]!)));
  if (rows.length === 0) return null;
  const share = ((100 * rows.length) / other.examples.length).toFixed(1);
  const first = rows
    .slice(0, 3)
    .map((row) => placeOf(other, row))
    .join(", ");
  return (
    `${rows.length} of ${other.examples.length} rows of ${other.path} (${share} %) are also in ${earlier.path}, ` +
    `first ${first}: ${so}`
  );
}
