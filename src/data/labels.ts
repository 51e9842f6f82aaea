/** Class names and their indices: the order of the logits. */
import { DataError, type Issue } from "../errors.js";
import type { Pieces } from "../event-loop.js";
import { closest } from "./closest.js";
import { contradictionNotice, spellingNotice } from "./doubtful-labels.js";
import { type Keyed, placeOf } from "./rows.js";
import { brief } from "./table.js";
import type { Dataset, LabelMap } from "./types.js";

const MAX_ISSUES = 10;

/**
 * Label map of a training set: integer labels in numeric order, string labels as Python's `sorted` orders them (by code point).
 *
 * @throws DataError ERR_ONE_CLASS when there are fewer than two classes, ERR_LABEL_MISSING when a row has no label, ERR_LABELS
 *   when two labels differ only in blanks around them.
 */
export function buildLabelMap(dataset: Dataset): LabelMap {
  const missing = dataset.examples.flatMap(({ label }, row) => (label === undefined ? [row] : []));
  if (missing.length > 0) {
    throw new DataError("ERR_LABEL_MISSING", `${dataset.path}: ${missing.length} rows have no label`, [
      { path: placeOf(dataset, missing[0]!), expected: "a label", received: "none" },
    ]);
  }
  refuseBlanks(dataset);
  const labels = new Set(dataset.examples.map(({ label }) => label!));
  const allIntegers = [...labels].every((label) => typeof label === "number");
  const names = allIntegers
    ? [...labels].sort((a, b) => (a as number) - (b as number)).map(String)
    : [...new Set([...labels].map(String))].sort(byCodePoint);
  if (names.length < 2) {
    throw new DataError("ERR_ONE_CLASS", `${dataset.path}: nothing to tell apart`, [
      {
        path: "label",
        expected: "at least 2 classes",
        received:
          names.length === 0 ? "no rows" : `only "${brief(names[0]!)}", in ${dataset.examples.length} rows`,
      },
    ]);
  }
  return labelMapOf(names);
}

/** JSON strings are names as they stand, so "pos" and "pos " would be two classes: hardly what anyone means. */
function refuseBlanks(dataset: Dataset): void {
  const firstRows = new Map<string, number>();
  for (const [row, { label }] of dataset.examples.entries()) {
    if (!firstRows.has(String(label))) firstRows.set(String(label), row);
  }
  const labels = [...firstRows.keys()];
  const times = countsOf(labels.map((label) => label.trim()));
  const alike = labels.filter((label) => times.get(label.trim())! > 1);
  if (alike.length === 0) return;
  throw new DataError(
    "ERR_LABELS",
    `${dataset.path}: labels that differ only in the blanks around them`,
    alike.slice(0, MAX_ISSUES).map((label) => ({
      path: placeOf(dataset, firstRows.get(label)!),
      expected: `one spelling of "${brief(label.trim())}"`,
      received: `"${brief(label)}"`,
    })),
  );
}

/**
 * What a user should know of the classes, a sentence each: how many there are, always and first; labels that are
 * probably mistakes; which classes are not measured.
 *
 * @param of the training rows.
 * @param others files that are scored.
 */
export function* classNotices(of: Keyed, others: readonly Dataset[], { names }: LabelMap): Pieces<string[]> {
  const { dataset: train } = of;
  const rows = labelCounts(train);
  const counts = names.map((name) => rows.get(name) ?? 0);
  const [least, most] = counts.reduce(
    ([low, high], n) => [Math.min(low, n), Math.max(high, n)],
    [Number.POSITIVE_INFINITY, 0],
  );
  const range = least === most ? `${most}` : `${least} to ${most}`;
  const notices = [`${names.length} classes, ${range} training ${most === 1 ? "row" : "rows"} each`];
  const single = counts.filter((count) => count === 1).length;
  if (single > rows.size / 2) {
    notices.push(
      `${train.path}: ${single} of ${rows.size} classes have a single row: is label a column of ids, or exchanged with text?`,
    );
  }
  for (const notice of [spellingNotice(train, rows), yield* contradictionNotice(of)]) {
    if (notice) notices.push(notice);
  }
  for (const other of others) {
    const there = labelCounts(other);
    const lacking = names.filter((name) => rows.has(name) && !there.has(name));
    if (lacking.length === 0) continue;
    const first = lacking.slice(0, 3).map((name) => `"${brief(name)}"`);
    if (lacking.length > first.length) first.push("…");
    notices.push(
      `${other.path}: no row of ${lacking.length} of the ${rows.size} classes of ${train.path} (${first.join(", ")}): ` +
        "nothing is measured on them",
    );
  }
  return notices;
}

const labelCounts = ({ examples }: Dataset) =>
  countsOf(examples.flatMap(({ label }) => (label === undefined ? [] : [String(label)])));

function countsOf(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/**
 * Label map of a model's own class names, in index order.
 *
 * @throws DataError ERR_LABELS when a name occurs twice.
 */
export function labelMapOf(names: readonly string[]): LabelMap {
  const index = new Map(names.map((name, i) => [name, i]));
  if (index.size !== names.length) {
    const twice = names.find((name, i) => index.get(name) !== i)!;
    throw new DataError("ERR_LABELS", "class names must differ", [
      { path: "labels", expected: "each name once", received: `"${brief(twice)}" twice` },
    ]);
  }
  return { names: [...names], index };
}

/**
 * Class index of each row, shape (rows); -1 where a row has no label.
 *
 * @throws DataError ERR_LABEL_UNKNOWN listing the rows (at most 10) whose label the map does not have.
 */
export function encodeLabels(dataset: Dataset, labels: LabelMap): Int32Array {
  const out = new Int32Array(dataset.examples.length);
  const issues: Issue[] = [];
  let unknown = 0;
  for (const [row, { label }] of dataset.examples.entries()) {
    const index = label === undefined ? -1 : indexOf(String(label), labels);
    out[row] = index ?? -1;
    if (index !== undefined) continue;
    unknown++;
    if (issues.length < MAX_ISSUES) issues.push(unknownLabel(dataset, row, String(label), labels));
  }
  if (unknown > 0) {
    const all = unknown === out.length ? ": is label the right column, here and in training?" : "";
    throw new DataError(
      "ERR_LABEL_UNKNOWN",
      `${dataset.path}: ${unknown} of ${out.length} rows have a label that is not one of the ${labels.names.length} classes${all}`,
      issues,
    );
  }
  return out;
}

/** As it is written, else as the same whole number: 1.0 in one file may be 1 in another, beside labels that are names. */
function indexOf(label: string, { index }: LabelMap): number | undefined {
  const whole = /^(-?\d+)(\.0*)?$/.exec(label)?.[1];
  return (
    index.get(label) ?? (whole === undefined ? undefined : (index.get(whole) ?? index.get(`${whole}.0`)))
  );
}

function unknownLabel(dataset: Dataset, row: number, label: string, labels: LabelMap): Issue {
  const near = closest(label, labels.names);
  const list = labels.names.slice(0, 8).map((name) => `"${brief(name)}"`);
  if (labels.names.length > list.length) list.push("…");
  return {
    path: placeOf(dataset, row),
    expected: `a label seen in training (${list.join(", ")})`,
    received: `"${brief(label)}"`,
    ...(near === undefined ? {} : { hint: `did you mean "${brief(near)}"?` }),
  };
}

/** Order by code point, as Python compares strings; JavaScript's own order is by UTF-16 unit. */
export function byCodePoint(a: string, b: string): number {
  const [x, y] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < x.length && i < y.length; i++) {
    const difference = x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}
