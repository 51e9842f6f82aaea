import { describe, expect, it } from "vitest";
import * as c from "../../../src/analysis/correlation.js";
import { Random } from "../../../src/analysis/random.js";
import { expectClose, golden } from "./golden.js";

const closedForm = () => ({ random: new Random(1), permutations: 0, resamples: 0 });
const small = (seed = 1) => ({ random: new Random(seed), permutations: 999, resamples: 500 });

describe("closed forms agree with SciPy and statsmodels to 1e-10", () => {
  it.each(golden.correlations)("pearson and spearman: $name", ({ x, y, pearson, spearman }) => {
    const p = c.pearson(x, y, closedForm());
    const s = c.spearman(x, y, closedForm());
    expectClose(p.r, pearson[0], "r");
    expectClose(s.r, spearman[0], "rho");
    // At |r| = 1 one rounding of r is all of 1 − r².
    if (Math.abs(pearson[0]) < 1 - 1e-9) expectClose(p.asymptoticP, pearson[1], "p of r");
    if (Math.abs(spearman[0]) < 1 - 1e-9) expectClose(s.asymptoticP, spearman[1], "p of rho");
    expect(p.n).toBe(x.length);
  });

  it.each(golden.groups)("point- and rank-biserial: $name", ({ group, y, pointBiserial, rankBiserial }) => {
    const p = c.pointBiserial(group, y, closedForm());
    const r = c.rankBiserial(group, y, closedForm());
    expectClose(p.r, pointBiserial[0], "r");
    expectClose(p.asymptoticP, pointBiserial[1], "p of r");
    expectClose(r.r, rankBiserial[0], "rank-biserial r");
    expectClose(r.asymptoticP, rankBiserial[1], "p of Mann–Whitney");
  });

  it("partial correlation, against the t of a regression", () => {
    const { x, y, z, r, p } = golden.partial;
    const found = c.partialCorrelation(x, y, z, closedForm());
    expectClose(found.r, r, "r");
    expectClose(found.asymptoticP, p, "p");
  });

  it.each(golden.exactPermutations)("exact permutation p: $name, $kind", ({ name, kind, p, count }) => {
    const { x, y } = golden.correlations.find((fixture) => fixture.name === name)!;
    const found = (kind === "pearson" ? c.pearson : c.spearman)(x, y, {
      random: new Random(1),
      resamples: 0,
    });
    expect(found.permutation).toEqual({ p: expect.closeTo(p, 12), exact: true, count });
  });
});

describe("permutation and bootstrap", () => {
  const { x, y } = golden.correlations.find((fixture) => fixture.name === "normal")!;

  it("Monte Carlo p is near the t-based one, and never zero", () => {
    const found = c.pearson(x, y, { random: new Random(3), resamples: 0 });
    expect(found.permutation!.exact).toBe(false);
    expect(found.permutation!.p).toBeGreaterThan(0);
    expect(Math.abs(found.permutation!.p - found.asymptoticP!)).toBeLessThan(0.01);
  });

  it("the same seed gives the same answer, another seed another", () => {
    expect(c.spearman(x, y, small(5))).toEqual(c.spearman(x, y, small(5)));
    expect(c.spearman(x, y, small(5)).ci).not.toEqual(c.spearman(x, y, small(6)).ci);
  });

  /** Both ends of the interval for r of `n` normal pairs (Fisher 1921). */
  const fisher = (r: number, n: number) =>
    [-1, 1].map((sign) => Math.tanh(Math.atanh(r) + (sign * 1.959964) / Math.sqrt(n - 3))) as [
      number,
      number,
    ];

  it.each([8, 9, 10])("the interval holds r and is close to Fisher's for normal data: seed %i", (seed) => {
    const { r, ci } = c.pearson(x, y, { random: new Random(seed), permutations: 0, resamples: 4000 });
    expect(ci!.method).toBe("bca");
    const [low, high] = fisher(r!, x.length);
    expect(high - low).toBeGreaterThan(0.3); // what the 0.05 below is small beside
    expect(Math.abs(ci!.low - low)).toBeLessThan(0.05); // 0.042 is the most over a dozen seeds: 30 rows are not quite normal
    expect(Math.abs(ci!.high - high)).toBeLessThan(0.05);
    expect(ci!.low).toBeLessThan(r!);
    expect(ci!.high).toBeGreaterThan(r!);
  });

  it("the more rows, the closer to Fisher's", () => {
    for (let seed = 0; seed < 5; seed += 1) {
      const random = new Random(seed, "fisher");
      const a = Array.from({ length: 400 }, () => random.normal());
      const b = a.map((value) => 0.6 * value + random.normal());
      const { r, ci } = c.pearson(a, b, { random, permutations: 0, resamples: 2000 });
      const [low, high] = fisher(r!, 400);
      expect(Math.abs(ci!.low - low), `seed ${seed}`).toBeLessThan(0.02); // of a width of 0.15
      expect(Math.abs(ci!.high - high), `seed ${seed}`).toBeLessThan(0.02);
    }
  });

  it("the partial p does not see an effect that is all the covariate's", () => {
    const random = new Random(11);
    const z = Array.from({ length: 60 }, () => random.normal());
    const viaZ = z.map((value) => value + 0.3 * random.normal());
    const value = z.map((v) => v + 0.3 * random.normal());
    expect(c.pearson(viaZ, value, small()).permutation!.p).toBe(0.001);
    expect(c.partialCorrelation(viaZ, value, z, small()).permutation!.p).toBeGreaterThan(0.05);
  });
});

describe("what does not exist is null, with the reason", () => {
  const reasons = (a: {
    r: number | null;
    permutation: unknown;
    asymptoticP: unknown;
    ci: unknown;
    reason: unknown;
  }) => [a.r, a.permutation, a.asymptoticP, a.ci, a.reason];
  const none = (reason: string) => [null, null, null, null, reason];

  it("constants, NaN, tiny n", () => {
    expect(reasons(c.pearson([1, 1, 1, 1], [1, 2, 3, 4], small()))).toEqual(
      none("one of the two columns is constant"),
    );
    expect(reasons(c.spearman([1, 2, 3], [5, 5, 5], small()))).toEqual(
      none("one of the two columns is constant"),
    );
    expect(reasons(c.pearson([0.1, 0.1, 0.1], [1, 2, 3], small()))).toEqual(
      none("one of the two columns is constant"),
    );
    expect(reasons(c.pearson([1, Number.NaN, 3, 4], [1, 2, 3, 4], small()))).toEqual(
      none("1 of 4 rows are not finite"),
    );
    expect(reasons(c.rankBiserial([true, false, true], [1, Number.POSITIVE_INFINITY, 3], small()))).toEqual(
      none("1 of 3 rows are not finite"),
    );
    expect(reasons(c.pearson([1, 2], [3, 4], small()))).toEqual(none("2 rows; a correlation needs 3"));
    expect(reasons(c.pearson([], [], small()))).toEqual(none("0 rows; a correlation needs 3"));
    expect(reasons(c.rankBiserial([true, true, true], [1, 2, 3], small()))).toEqual(
      none("frozen in all or in none of them"),
    );
    expect(reasons(c.partialCorrelation([1, 2, 3], [1, 2, 4], [1, 3, 2], small()))).toEqual(
      none("3 rows; a partial correlation needs 4"),
    );
    expect(reasons(c.partialCorrelation([1, 2, 3, 4], [1, 2, 4, 3], [2, 4, 6, 8], small()))).toEqual(
      none("constant once the global rate is taken out"),
    );
  });

  it("a tiny sample keeps r and p, and says why it has no interval", () => {
    const found = c.pointBiserial([true, false, false, false], [4, 1, 2, 3], small());
    expect(found.r).not.toBeNull();
    expect(found.permutation).toEqual({ p: 0.5, exact: true, count: 24 });
    expect(found.ci).toBeNull();
    expect(found.reason).toBe("no interval: too many resamples are constant");
  });

  it("a perfect correlation has p = 0 by formula and 1/orders by permutation", () => {
    const found = c.pearson([1, 2, 3, 4], [2, 4, 6, 8], small());
    expect(found.r).toBe(1);
    expect(found.permutation!.p).toBeCloseTo(2 / 24, 12);
  });

  it("columns of different lengths are a programming error", () => {
    expect(() => c.pearson([1, 2, 3], [1, 2], small())).toThrow(RangeError);
  });
});
