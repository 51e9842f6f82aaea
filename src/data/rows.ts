/** What a row is called, and what makes two rows the same. */
import type { Pieces } from "../event-loop.js";
import type { Dataset, Example } from "./types.js";

/** "train.csv:12 (row 11)": the line, and the row counted from 1 without the header. */
export function placeOf(dataset: Dataset, row: number): string {
  return `${dataset.path}:${dataset.lines[row] ?? row + 1} (row ${row + 1})`;
}

/** Equal where the text (or the pair) is. */
const textKey = (example: Example) => JSON.stringify([example.text, example.textB ?? null]);

/** A file with what its rows are compared by, in their order. */
export interface Keyed {
  readonly dataset: Dataset;
  readonly keys: readonly string[];
}

export function* keyed(dataset: Dataset): Pieces<Keyed> {
  const keys: string[] = [];
  for (const example of dataset.examples) {
    keys.push(textKey(example));
    yield;
  }
  return { dataset, keys };
}
