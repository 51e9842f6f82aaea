/** Datasets of a few rows, without a file. */
import { createHash } from "node:crypto";
import { DatasetBuilder } from "../../../src/data/dataset-builder.js";
import type { ReadOptions } from "../../../src/data/reader.js";
import { type Keyed, keyed } from "../../../src/data/rows.js";
import type { Dataset } from "../../../src/data/types.js";
import { atOnce } from "../../../src/event-loop.js";

/**
 * A dataset from rows in memory, checked as a file's rows are.
 *
 * @param name stands for the path in messages.
 */
export function datasetOf(
  name: string,
  rows: Iterable<{ readonly text: string; readonly text_b?: string; readonly label?: string | number }>,
  options: ReadOptions,
): Dataset {
  const hash = createHash("sha256");
  const builder = new DatasetBuilder(name, options.requireLabels);
  let line = 0;
  for (const row of rows) {
    hash.update(JSON.stringify([row.text, row.text_b ?? null, row.label ?? null]));
    builder.add({ line: ++line, fields: { ...row } });
  }
  return builder.finish(hash.digest("hex"));
}

export const keyedOf = (dataset: Dataset): Keyed => atOnce(keyed(dataset));
