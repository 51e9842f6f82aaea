import { expect, test } from "vitest";
import { rungRows, rungSteps } from "../../../src/train/rungs.js";

const offsetsOf = (lengths: readonly number[]) =>
  Int32Array.from([0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b))]);
const lengths = Array.from({ length: 500 }, (_, i) => 5 + (i % 41));
const offsets = offsetsOf(lengths);
const tokensOf = (rows: Int32Array) => rows.reduce((sum, row) => sum + lengths[row]!, 0);

test("rungs are where a quarter and a half of the steps are done, at the end of that epoch", () => {
  expect(rungSteps(120, 12)).toEqual([36, 60]);
  expect(rungSteps(16, 1)).toEqual([4, 8]);
});

test("trainings of less than four epochs have them within an epoch", () => {
  expect(rungSteps(200, 625)).toEqual([50, 100]);
  expect(rungSteps(36, 12)).toEqual([9, 18]);
});

test("a sample costs 2 % of the training, a step of which costs three passes", () => {
  const trained = 60_000;
  const rows = rungRows(offsets, trained);
  expect(tokensOf(rows)).toBeLessThanOrEqual(0.06 * trained);
  expect(tokensOf(rows)).toBeGreaterThan(0.06 * trained - 46);
  expect(new Set(rows).size).toBe(rows.length);
});

test("it is the same each time, and drawn from all the rows: files are often in the order of their labels", () => {
  const rows = rungRows(offsets, 60_000);
  expect(rungRows(offsets, 60_000)).toEqual(rows);
  const later = rows.filter((row) => row >= 250).length / rows.length;
  expect(Math.abs(later - 0.5)).toBeLessThan(0.15);
});

test("64 rows at least, all where they are fewer or the training affords them", () => {
  expect(rungRows(offsets, 1)).toHaveLength(64);
  expect(rungRows(offsets.slice(0, 31), 1)).toHaveLength(30);
  expect([...rungRows(offsets, 1e9)].sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
});
