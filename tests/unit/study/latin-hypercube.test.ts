import { expect, test } from "vitest";
import { latinHypercube } from "../../../src/study/samplers/latin-hypercube.js";
import type { Params, Space } from "../../../src/study/types.js";
import { spaceContains } from "./space-contains.js";

const space: Space = [
  { name: "kind", distribution: { kind: "categorical", choices: ["a", "b", "c"] } },
  { name: "lr", distribution: { kind: "float", low: 1e-6, high: 1e-2, log: true } },
  { name: "depth", distribution: { kind: "int", low: 0, high: 7 } },
  { name: "deep", distribution: { kind: "int", low: 0, high: 1 }, when: (p) => (p.depth as number) > 3 },
];
const counts = (draws: readonly Params[], name: string) => {
  const found = new Map<unknown, number>();
  for (const draw of draws) if (name in draw) found.set(draw[name], (found.get(draw[name]) ?? 0) + 1);
  return [...found].sort(([a], [b]) => (a! < b! ? -1 : 1));
};

test("every value of a discrete dimension is drawn as often as the others, and every part of a range once", () => {
  for (let seed = 0; seed < 20; seed++) {
    const draws = latinHypercube(space, 24, seed);
    for (const draw of draws) expect(spaceContains(space, draw)).toBe(true);
    expect(counts(draws, "depth")).toEqual(Array.from({ length: 8 }, (_, depth) => [depth, 3]));
    expect(counts(draws, "kind").map(([, n]) => n)).toEqual([8, 8, 8]);
    const parts = draws.map(({ lr }) => Math.floor(((Math.log10(lr as number) + 6) / 4) * 24));
    expect(parts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, i) => i));
    expect(counts(draws, "deep").reduce((sum, [, n]) => sum + n, 0)).toBe(12);
  }
});

test("each draw alone is uniform, whatever its place in the sample; two dimensions do not go together", () => {
  const seeds = 4000;
  const first = new Map<string, number>();
  let together = 0;
  for (let seed = 0; seed < seeds; seed++) {
    const draw = latinHypercube(space, 5, seed)[seed % 5]!;
    for (const name of ["kind", "depth"]) {
      const key = `${name} ${draw[name]}`;
      first.set(key, (first.get(key) ?? 0) + 1);
    }
    together += (Math.log10(draw.lr as number) + 4) * ((draw.depth as number) - 3.5);
  }
  expect(first.size).toBe(3 + 8);
  // Within 4.5 standard deviations of its binomial.
  for (const [key, count] of first) {
    const p = key.startsWith("kind") ? 1 / 3 : 1 / 8;
    expect(Math.abs(count - seeds * p), key).toBeLessThan(4.5 * Math.sqrt(seeds * p * (1 - p)));
  }
  const sd = Math.sqrt((16 / 12) * (63 / 12)); // of the product of the two, each about its mean
  expect(Math.abs(together)).toBeLessThan(4.5 * sd * Math.sqrt(seeds));
});

test("a dimension's draws are its own: another dimension beside it changes nothing; seeds do", () => {
  const values = (draws: readonly Params[]) => draws.map(({ lr }) => lr);
  expect(values(latinHypercube(space.slice(1, 2), 10, 7))).toEqual(values(latinHypercube(space, 10, 7)));
  expect(values(latinHypercube(space, 10, 8))).not.toEqual(values(latinHypercube(space, 10, 7)));
  expect(latinHypercube(space, 0, 7)).toEqual([]);
});
