import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MedianPruner, type MedianPrunerOptions } from "../../../src/study/pruners/median.js";
import { NonePruner } from "../../../src/study/pruners/none.js";
import type { Direction, TrialRecord, TrialState } from "../../../src/study/types.js";

/** Written by tests/golden/median_verdicts.py, which says what the columns are. */
type Reports = [step: number, value: number | "nan" | "inf" | "-inf"][];
type Entry = Reports | [TrialState, Reports];
type Case = [
  name: string,
  direction: Direction,
  options: Record<string, number>,
  history: Entry[],
  own: Reports,
  verdict: boolean,
];
const golden = JSON.parse(readFileSync(new URL("../../golden/median.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

const numbers = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY };
const reported = (reports: Reports) =>
  new Map(reports.map(([step, value]) => [step, typeof value === "number" ? value : numbers[value]]));
const isState = (entry: Entry): entry is [TrialState, Reports] => typeof entry[0] === "string";

const record = (number: number, state: TrialState, intermediateValues: Map<number, number>): TrialRecord => ({
  number,
  trialId: number + 1,
  state,
  value: state === "COMPLETE" ? 0 : null,
  params: {},
  distributions: {},
  intermediateValues,
  userAttrs: {},
  systemAttrs: {},
  datetimeStart: null,
  datetimeComplete: null,
});

/** `n_startup_trials` → `nStartupTrials`. */
const ours = (options: Record<string, number>): MedianPrunerOptions =>
  Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key.replace(/_(.)/g, (_, c) => c.toUpperCase()), value]),
  );

const verdictOf = ([, direction, options, history, own]: Case): boolean => {
  const records = history.map((entry, i) =>
    isState(entry) ? record(i, entry[0], reported(entry[1])) : record(i, "COMPLETE", reported(entry)),
  );
  const trial = { number: history.length, intermediateValues: reported(own) };
  return new MedianPruner(ours(options)).prune(trial, records, direction);
};

/**
 * Optuna prunes nothing here: NumPy interpolates between the middle value and the one above it even when the median is a
 * value of its own, and 2 + 0 × (∞ − 2) is NaN. We take the median as it is, an infinity like any other worst or best.
 */
const unlikeOptuna = [
  "an infinity among others, one side",
  "the median is infinite, maximised",
  "the middle two are the same infinity, maximised",
  "the middle two are a number and infinity, maximised",
];

describe("the median pruner decides as Optuna's MedianPruner", () => {
  test.each(golden.cases)("%s", (...row) => {
    const [name, , , , , verdict] = row as Case;
    expect(verdictOf(row as Case)).toBe(unlikeOptuna.includes(name) ? true : verdict);
    if (unlikeOptuna.includes(name)) expect(verdict).toBe(false);
  });

  test("both verdicts occur often, in the cases by hand and in those from a seed", () => {
    const count = (fromSeed: boolean, verdict: boolean) =>
      golden.cases.filter((c) => c[0].startsWith("seed") === fromSeed && c[5] === verdict).length;
    expect(count(false, true)).toBeGreaterThanOrEqual(15);
    expect(count(false, false)).toBeGreaterThanOrEqual(15);
    expect(count(true, true)).toBeGreaterThanOrEqual(10);
    expect(count(true, false)).toBeGreaterThanOrEqual(10);
    expect(golden.cases.filter(([name]) => unlikeOptuna.includes(name))).toHaveLength(unlikeOptuna.length);
  });
});

test.each([
  [{ nStartupTrials: -1 }, "nStartupTrials", "an integer ≥ 0", "-1"],
  [{ nWarmupSteps: 0.5 }, "nWarmupSteps", "an integer ≥ 0", "0.5"],
  [{ intervalSteps: 0 }, "intervalSteps", "an integer ≥ 1", "0"],
  [{ nMinTrials: Number.NaN }, "nMinTrials", "an integer ≥ 1", "NaN"],
])("an option out of range is refused by name: %o", (options, path, expected, received) => {
  expect(() => new MedianPruner(options)).toThrowError(
    expect.objectContaining({ code: "ERR_PRUNER", issues: [{ path, expected, received }] }),
  );
});

test("every option out of range is named at once; the least allowed are taken", () => {
  const wrong = { nStartupTrials: -1, nWarmupSteps: -1, intervalSteps: 0, nMinTrials: 0 };
  const paths = Object.keys(wrong).map((path) => expect.objectContaining({ path }));
  expect(() => new MedianPruner(wrong)).toThrowError(expect.objectContaining({ issues: paths }));
  const least = new MedianPruner({ nStartupTrials: 0, nWarmupSteps: 0, intervalSteps: 1, nMinTrials: 1 });
  expect(least.prune({ number: 0, intermediateValues: new Map() }, [], "maximize")).toBe(false);
});

test("no pruner prunes nothing", () => {
  const history = [record(0, "COMPLETE", new Map([[1, 5]]))];
  const hopeless = { number: 1, intermediateValues: new Map([[1, Number.NaN]]) };
  expect(new MedianPruner({ nStartupTrials: 1 }).prune(hopeless, history, "maximize")).toBe(true);
  expect(new NonePruner().prune()).toBe(false);
});
