/** What a row is called, and what makes two rows the same. */
import type { Dataset, Example } from "./types.js";

/** "train.csv:12 (row 11)": the line, and the row counted from 1 without the header. */
export function placeOf(dataset: Dataset, row: number): string {
  return `${dataset.path}:${dataset.lines[row] ?? row + 1} (row ${row + 1})`;
}

/** Equal where the text (or the pair) is. */
export const textKey = (example: Example) => JSON.stringify([example.text, example.textB ?? null]);
