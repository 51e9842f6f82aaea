/** The tolerance itself: what it lets pass, what it does not, and that a NaN is never within it. */
import { describe, expect, test } from "vitest";
import type { Tolerance } from "./read.js";
import { Comparison, errorsOf, FLOOR, mismatch, scalarMismatch } from "./rule.js";

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

describe("errorsOf", () => {
  test("the largest difference and where it is, and the root mean square", () => {
    expect(errorsOf([1, 2, 7, 4], [1, 5, 3, 4])).toEqual({ max: 4, at: 2, rms: 2.5 });
    expect(errorsOf([], [])).toEqual({ max: 0, at: 0, rms: 0 });
  });

  test.each([
    ["first", [nan, 2, 30], [1, 2, 3], 0],
    ["after a smaller and before a larger difference", [2, nan, 30], [1, 2, 3], 1],
    ["last", [1, 20, nan], [1, 2, 3], 2],
    ["twice: the first of them", [10, nan, nan], [1, 2, 3], 1],
    ["in the reference", [1, 2, 30], [1, nan, 3], 1],
    ["an infinity for an infinity", [1, infinity, 30], [1, infinity, 3], 1],
    ["after an infinity", [infinity, nan, 3], [1, 2, 3], 1],
    ["a value short", [1, 2], [1, 2, 3], 2],
  ] as const)("a NaN wins: %s", (_, ours, reference, at) => {
    expect(errorsOf(ours, reference)).toEqual({ max: nan, at, rms: nan });
  });
});

// Sizes of 2 and 1, and float32 errs by 0.5 and 0.25: bounds of 1 and 0.5, and the floor's.
const tolerance: Tolerance = { max: 0.5, rms: 0.25, largest: 2, typical: 1 };
const bound = 1 + 2 * FLOOR;
const zeros = [0, 0, 0, 0];

describe("mismatch", () => {
  test("lets pass twice float32's errors and the floor", () => {
    expect(mismatch("w", [0, bound, 0, 0], zeros, tolerance)).toBe(null); // rms 0.5
    expect(mismatch("w", zeros, zeros, { max: 0, rms: 0, largest: 0, typical: 0 })).toBe(null);
  });

  test("names what is out of bounds, by the largest error and by the root mean square", () => {
    expect(mismatch("w", [0, 0, 1.001, 0], zeros, tolerance)).toMatch(
      /^w: max error 1\.001e\+0 \(bound 1\.000e\+0\) at \[2\]: 1\.001 for 0; rms/,
    );
    expect(mismatch("w", [0.6, 0.6, 0.6, 0.6], zeros, tolerance)).toMatch(
      /rms error 6\.000e-1 \(bound 5\.000e-1\)$/,
    );
    expect(mismatch("w", [0, 0], zeros, tolerance)).toBe("w: expected 4 values, received 2");
  });

  test("never lets a NaN pass, and says where it is", () => {
    expect(mismatch("w", [0, nan, 0, 0], zeros, tolerance)).toMatch(/max error NaN .* at \[1\]: NaN for 0/);
  });
});

test("scalarMismatch", () => {
  expect(scalarMismatch("loss", 2 + bound, 2, 0.5)).toBe(null);
  expect(scalarMismatch("loss", 3.001, 2, 0.5)).toMatch(/^loss: 3\.001 for 2, error 1\.001e\+0/);
  expect(scalarMismatch("loss", nan, 2, 0.5)).toMatch(/^loss: NaN for 2/);
});

test("a comparison of nothing is no success", () => {
  const comparison = new Comparison();
  expect(comparison.report()).toBe("nothing was compared");
  comparison.add(null);
  expect(comparison.report()).toBe("");
  comparison.add("w: wrong");
  expect(comparison.report()).toBe("1 of 2 out of bounds; the first:\n  w: wrong");
});
