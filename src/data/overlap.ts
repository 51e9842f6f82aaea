/** Rows that are in two files. */
import type { Pieces } from "../event-loop.js";
import { type Keyed, placeOf } from "./rows.js";

/**
 * A sentence for the report when rows of `other` have a text (or pair) that `earlier` has too, else null. Labels do not matter.
 *
 * @param so what that means: a row that was trained on measures memory, one that chose makes the choice look good.
 */
export function* overlapNotice(earlier: Keyed, other: Keyed, so: string): Pieces<string | null> {
  const seen = new Set<string>();
  for (const key of earlier.keys) {
    seen.add(key);
    yield;
  }
  const rows: number[] = [];
  for (const [row, key] of other.keys.entries()) {
    if (seen.has(key)) rows.push(row);
    yield;
  }
  if (rows.length === 0) return null;
  const share = ((100 * rows.length) / other.keys.length).toFixed(1);
  const first = rows
    .slice(0, 3)
    .map((row) => placeOf(other.dataset, row))
    .join(", ");
  return (
    `${rows.length} of ${other.keys.length} rows of ${other.dataset.path} (${share} %) are also in ${earlier.dataset.path}, ` +
    `first ${first}: ${so}`
  );
}
