/** The golden values of SciPy and statsmodels (tests/golden/generate_statistics.py) and how close is close. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";

type Row3 = readonly [number, number, number];
type Row4 = readonly [number, number, number, number];

export interface Golden {
  readonly distributions: {
    readonly normalSf: readonly (readonly [number, number])[];
    readonly normalQuantile: readonly (readonly [number, number])[];
    readonly studentTSf: readonly Row3[];
    readonly studentTUpperQuantile: readonly Row3[];
    readonly binomialCdf: readonly Row4[];
    readonly fairCoinP: readonly Row3[];
  };
  readonly correlations: readonly {
    readonly name: string;
    readonly x: readonly number[];
    readonly y: readonly number[];
    readonly pearson: readonly [number, number];
    readonly spearman: readonly [number, number];
  }[];
  readonly exactPermutations: readonly {
    name: string;
    kind: "pearson" | "spearman";
    p: number;
    count: number;
  }[];
  readonly groups: readonly {
    readonly name: string;
    readonly group: readonly boolean[];
    readonly y: readonly number[];
    readonly pointBiserial: readonly [number, number];
    readonly rankBiserial: readonly [number, number];
  }[];
  readonly partial: {
    x: readonly number[];
    y: readonly number[];
    z: readonly number[];
    r: number;
    p: number;
  };
  readonly multiplicity: readonly { p: readonly number[]; bh: readonly number[]; holm: readonly number[] }[];
  readonly bootstraps: readonly {
    readonly name: string;
    readonly replicates: readonly number[];
    readonly observed: number;
    readonly jackknife: readonly number[];
    readonly level: number;
    readonly ends: {
      readonly percentile: readonly [number, number];
      readonly BCa: readonly [number, number];
    };
  }[];
  readonly paired: {
    readonly mcnemar: readonly Row3[];
    readonly signFlip: readonly { d: readonly number[]; p: number }[];
    readonly integerSignFlip: readonly { d: readonly number[]; p: number }[];
  };
  readonly criticalR: readonly Row3[];
  readonly expectedMaximum: readonly (readonly [number, number])[];
  readonly kendallW: readonly { ranks: readonly (readonly number[])[]; w: number }[];
  readonly xoshiro: readonly number[];
}

export const golden: Golden = JSON.parse(
  readFileSync(new URL("../../golden/statistics.json", import.meta.url), "utf8"),
);

/** Within 1e-10 relative (and 1e-300 absolute: a double's smallest normal tails). */
export function expectClose(actual: number | null | undefined, expected: number, label: string): void {
  const error = Math.abs((actual ?? Number.NaN) - expected);
  const close = actual === expected || error <= 1e-10 * Math.abs(expected) + 1e-300;
  expect(close, `${label}: ${actual}, SciPy ${expected}`).toBe(true);
}
