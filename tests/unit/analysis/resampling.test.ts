import { describe, expect, it } from "vitest";
import { fairCoinP } from "../../../src/analysis/distributions.js";
import { groupedQ, holm } from "../../../src/analysis/multiplicity.js";
import { Random } from "../../../src/analysis/random.js";
import { kendallW } from "../../../src/analysis/ranking.js";
import { distinctIds, identity, midranks, midranksOf } from "../../../src/analysis/ranks.js";
import {
  bcaInterval,
  bootstrapInterval,
  integerSignFlipP,
  percentileInterval,
  signFlipTest,
} from "../../../src/analysis/resampling.js";
import { atOnce } from "../../../src/event-loop.js";
import { expectClose, golden } from "./golden.js";

describe("golden", () => {
  it.each(golden.bootstraps)("bootstrap ends from given replicates: $name", (fixture) => {
    const percentile = percentileInterval(fixture.replicates, fixture.level);
    expectClose(percentile.low, fixture.ends.percentile[0], "percentile low");
    expectClose(percentile.high, fixture.ends.percentile[1], "percentile high");
    const bca = bcaInterval(fixture.replicates, fixture.observed, fixture.jackknife, fixture.level);
    expectClose(bca.low, fixture.ends.BCa[0], "BCa low");
    expectClose(bca.high, fixture.ends.BCa[1], "BCa high");
  });

  it("Benjamini–Hochberg and Holm", () => {
    for (const { p, bh, holm: expected } of golden.multiplicity) {
      for (const [i, [q]] of groupedQ(p.map((one) => [one])).entries()) expectClose(q!, bh[i]!, `BH ${p[i]}`);
      for (const [i, q] of holm(p).entries()) expectClose(q, expected[i]!, `Holm ${p[i]}`);
    }
    expect(groupedQ([])).toEqual([]);
    expect(() => holm([0.5, Number.NaN])).toThrow(RangeError);
  });

  it("several tests a group: a group passes with a test of its own, at the level it had to meet", () => {
    const p = [
      [0.001, 0.04, 0.9],
      [0.03, null, 0.03],
      [0.6, 0.012, 0.0041],
      [null, null, null],
    ];
    // After Bonferroni: .003, .06, .0123; sorted .003, .0123, .06 over three groups.
    const q = groupedQ(p);
    expect(q.map((tests) => tests.map((one) => one && Number(one.toFixed(5))))).toEqual([
      [0.009, 0.12, 1],
      [0.06, null, 0.06],
      [1, 0.054, 0.01845],
      [null, null, null],
    ]);
    expect(() => groupedQ([[Number.NaN]])).toThrow(RangeError);
  });

  it("McNemar, sign flips over seeds, sign flips of integers", () => {
    for (const [b, c, p] of golden.paired.mcnemar) {
      expectClose(fairCoinP(b, b + c), p, `McNemar ${b}/${c}`);
      const rows = [...Array<number>(b).fill(1), ...Array<number>(c).fill(-1), 0, 0];
      expectClose(atOnce(integerSignFlipP(rows)), p, `as sign flips ${b}/${c}`);
    }
    for (const { d, p } of golden.paired.signFlip)
      expectClose(signFlipTest(d, new Random(1), 99).p, p, `flips of ${d.join(" ")}`);
    for (const { d, p } of golden.paired.integerSignFlip)
      expectClose(atOnce(integerSignFlipP(d)), p, `integers ${d.join(" ")}`);
  });

  it("Kendall's W", () => {
    for (const { ranks, w } of golden.kendallW) expectClose(kendallW(ranks), w, "W");
    expect(kendallW([[1, 2, 3]])).toBeNull();
  });

  it("xoshiro128** gives the published sequence", () => {
    const random = Random.fromState([1, 2, 3, 4]);
    expect(golden.xoshiro.map(() => random.uint32())).toEqual(golden.xoshiro);
  });
});

describe("random numbers", () => {
  it("streams differ by seed and by label, and repeat", () => {
    const first = (seed: number, label?: string) => new Random(seed, label).uint32();
    expect(first(1, "a")).toBe(first(1, "a"));
    const all = [first(0), first(1), first(-1), first(2 ** 40), first(1, "a"), first(1, "b"), first(1, "ab")];
    expect(new Set(all).size).toBe(all.length);
    expect(() => new Random(0.5)).toThrow("expected an integer, received 0.5");
  });

  it("below is uniform, uniform stays in [0, 1), normal has mean 0 and variance 1", () => {
    const random = new Random(4);
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 50_000; i += 1) counts[random.below(5)]! += 1;
    const chi2 = counts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
    expect(chi2).toBeLessThan(18.5); // p = .001 at 4 degrees of freedom
    const draws = Array.from({ length: 20_000 }, () => random.normal());
    expect(Math.abs(draws.reduce((a, b) => a + b) / 20_000)).toBeLessThan(0.025);
    expect(Math.abs(draws.reduce((a, b) => a + b * b, 0) / 20_000 - 1)).toBeLessThan(0.04);
    expect(Array.from({ length: 1000 }, () => random.uniform()).every((u) => u >= 0 && u < 1)).toBe(true);
  });
});

describe("ranks", () => {
  it("shares ties", () => expect([...midranks([3, 1, 3, 2, 3])]).toEqual([4, 1, 4, 2, 4]));
  it("ranks a resample without sorting it", () => {
    const values = [0.3, 0.1, 0.3, 0.9];
    const { ids, distinct } = distinctIds(values);
    const drawn = [3, 3, 1, 0, 2];
    expect([...midranksOf(ids, distinct, drawn)]).toEqual([...midranks(drawn.map((i) => values[i]!))]);
    expect([...identity(3)]).toEqual([0, 1, 2]);
  });
});

describe("edges", () => {
  it("BCa falls back to percentiles when all replicates are on one side or the jackknife is flat", () => {
    expect(bcaInterval([1, 2, 3], 0, [1, 2, 3], 0.9).method).toBe("percentile");
    expect(bcaInterval([1, 2, 3], 2, [1, 1, 1], 0.9).method).toBe("percentile");
  });

  it("a statistic that mostly does not exist has no interval", () => {
    const options = { n: 5, random: new Random(1), resamples: 100, level: 0.95 };
    expect(bootstrapInterval({ ...options, statistic: () => null })).toBeNull();
    expect(bootstrapInterval({ ...options, resamples: 0, statistic: () => 1 })).toBeNull();
  });

  it("flips at random beyond 16 differences, close to the exact answer", () => {
    const d = Array.from({ length: 17 }, (_, i) => (i % 3 === 0 ? -1 : 1));
    const exact = atOnce(integerSignFlipP(d));
    const sd = Math.sqrt((exact * (1 - exact)) / 20_000);
    expect(sd).toBeLessThan(0.004);
    for (let seed = 0; seed < 5; seed += 1) {
      const found = signFlipTest(d, new Random(seed), 20_000);
      expect(found.exact).toBe(false);
      expect(Math.abs(found.p - exact), `seed ${seed}`).toBeLessThan(5 * sd);
    }
  });

  it("no differences: p = 1", () => {
    expect(signFlipTest([0, 0, 0], new Random(1), 10).p).toBe(1);
    expect(atOnce(integerSignFlipP([0, 0]))).toBe(1);
    expect(atOnce(integerSignFlipP([]))).toBe(1);
  });
});
