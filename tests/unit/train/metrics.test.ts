import { expect, test } from "vitest";
import { majority } from "../../../src/train/metrics.js";

test("the largest class is train's, the first of equal ones, and scored on test", () => {
  const of = (train: number[], right: number[], classes = 3) =>
    majority(Int32Array.from(train), Int32Array.from(right), classes);
  expect(of([0, 1, 1, 2], [0, 0, 0, 1])).toEqual({ label: 1, accuracy: 1 / 4 });
  expect(of([2, 0, 2, 0], [0, 2])).toEqual({ label: 0, accuracy: 1 / 2 });
  expect(of([1], [0, 0])).toEqual({ label: 1, accuracy: 0 });
  expect(of([199_999], [199_999], 200_000).accuracy).toBe(1); // more classes than a call has arguments
});
