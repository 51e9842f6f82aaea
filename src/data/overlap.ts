/** Cuts of a dataset, and rows that are in two of them. */
import { createHash } from "node:crypto";
import { placeOf } from "./labels.js";
import type { Dataset, Example } from "./types.js";

export interface Splits {
  readonly train: Dataset;
  readonly validation?: Dataset;
  readonly test?: Dataset;
}

/**
 * The low-volume cut: the first `classes` labels of train in md5(label) order; of each, its first `perClass` training rows in
 * md5(text) order, and the rows of train in that order. Validation and test keep every row of those labels, as in the file.
 *
 * @param classes  0 keeps all labels.
 * @param perClass 0 keeps all rows.
 */
export function lowVolumeCut(splits: Splits, classes: number, perClass: number): Splits {
  const labels = [...new Set(splits.train.examples.map(labelOf))].sort(byMd5((label) => label));
  const kept = new Set(classes > 0 ? labels.slice(0, classes) : labels);
  const taken = new Map<string, number>();
  const rows = [...splits.train.examples.keys()].filter((row) =>
    kept.has(labelOf(splits.train.examples[row]!)),
  );
  rows.sort(byMd5((row) => splits.train.examples[row]!.text));
  const train = rows.filter((row) => {
    const label = labelOf(splits.train.examples[row]!);
    const count = (taken.get(label) ?? 0) + 1;
    taken.set(label, count);
    return perClass <= 0 || count <= perClass;
  });
  const ofLabels = (dataset: Dataset) =>
    selectRows(
      dataset,
      [...dataset.examples.keys()].filter((row) => kept.has(labelOf(dataset.examples[row]!))),
    );
  return {
    train: selectRows(splits.train, train),
    ...(splits.validation ? { validation: ofLabels(splits.validation) } : {}),
    ...(splits.test ? { test: ofLabels(splits.test) } : {}),
  };
}

/** The given rows, in that order. The hash says that the rows are a cut: it is over the file's hash and the row numbers. */
export function selectRows(dataset: Dataset, rows: readonly number[]): Dataset {
  const hash = createHash("sha256")
    .update(`${dataset.hash}:${rows.join(",")}`)
    .digest("hex");
  return {
    ...dataset,
    examples: rows.map((row) => dataset.examples[row]!),
    lines: Int32Array.from(rows, (row) => dataset.lines[row] ?? row + 1),
    hash,
  };
}

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

const labelOf = (example: Example) => String(example.label);
const textKey = (example: Example) => JSON.stringify([example.text, example.textB ?? null]);

/** Compare by the md5 of a text, in hexadecimal; equal texts keep their order. */
function byMd5<T>(text: (value: T) => string): (a: T, b: T) => number {
  const known = new Map<string, string>();
  const key = (value: T) => {
    const source = text(value);
    let digest = known.get(source);
    if (digest === undefined) {
      digest = createHash("md5").update(source).digest("hex");
      known.set(source, digest);
    }
    return digest;
  };
  return (a, b) => {
    const [x, y] = [key(a), key(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  };
}
