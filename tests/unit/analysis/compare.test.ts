import { describe, expect, it } from "vitest";
import { compareAll, compareArms, rowTest, spreadOf } from "../../../src/analysis/compare.js";
import { twoWay } from "../../../src/analysis/interval.js";
import { Random } from "../../../src/analysis/random.js";
import { atOnce } from "../../../src/event-loop.js";
import { arm, twoArms } from "./arms.js";

/** n rows, the first `wrong` (from `from`) of them wrong. */
const rows = (n: number, wrong: number, from = 0) =>
  Array.from({ length: n }, (_, i) => i < from || i >= from + wrong);
const five = (n: number, wrong: number, from = 0) =>
  [0, 1, 2, 3, 4].map((k) => rows(n, wrong + (k % 2), from));

describe("numbers", () => {
  const winner = arm("per-layer", [rows(100, 5), rows(100, 6), rows(100, 4)], { cheap: true });
  const baseline = arm("uniform", [rows(100, 8), rows(100, 8), rows(100, 10)]);
  const found = compareArms(winner, baseline, { seed: 1 });

  it("arms", () => {
    expect(found.winner.test).toEqual({
      n: 3,
      mean: expect.closeTo(0.95, 12),
      sd: expect.closeTo(0.01, 12),
      min: 0.94,
      max: 0.96,
    });
    expect(found.baseline.testStandardError).toBeCloseTo(Math.sqrt((0.9133333333 * 0.0866666667) / 100), 8);
    expect(found.winner.optimism).toBeCloseTo(0.03, 12);
    expect(found.winner.frozenGroups).toEqual([
      "embeddings",
      "layer.0",
      "layer.1",
      "layer.2",
      "layer.3",
      "layer.4",
    ]);
    expect(found.winner.trainedGroups).toEqual(["layer.5", "head"]);
    expect(found.costRatio).toEqual({
      seconds: expect.closeTo(0.55, 12),
      flops: expect.closeTo(0.4, 12),
      trainedParameters: expect.closeTo(1.8 / 22.7, 12),
    });
  });

  it("pairs", () => {
    expect(found.seeds.map((s) => [s.seed, s.winnerOnly, s.baselineOnly])).toEqual([
      [0, 3, 0],
      [1, 2, 0],
      [2, 6, 0],
    ]);
    expect(found.seeds.map((s) => s.mcnemarP)).toEqual(
      [0.25, 0.5, 0.03125].map((p) => expect.closeTo(p, 12)),
    );
    expect(found.difference.mean).toBeCloseTo((0.03 + 0.02 + 0.06) / 3, 12);
    expect(found.signFlip).toMatchObject({ p: 0.25, exact: true, count: 8, smallestP: 0.25 });
    expect(found.dz).toBeCloseTo(0.0366666667 / 0.02081666, 6);
  });

  it("one row counts once, however many seeds agree on it", () => {
    // Rows 4–9 are where the arms differ: six rows, not the eleven row × seed pairs of a pooled McNemar.
    expect(found.rowTest).toMatchObject({ winnerRows: 6, baselineRows: 0 });
    expect(found.rowTest.p).toBeCloseTo(2 / 2 ** 6, 12);
    expect(atOnce(rowTest([Int8Array.from([1, 1, -1, 0])])).p).toBeCloseTo(1, 12);
  });

  it("is the same for the same seed, and nearly so for another", () => {
    expect(compareArms(winner, baseline, { seed: 1 })).toEqual(found);
    const [w, b] = twoArms(new Random(1), { seeds: 4 });
    const interval = (seed: number) => compareArms(arm("w", w), arm("b", b), { seed }).difference;
    expect(interval(3)).not.toEqual(interval(2));
    expect(Math.abs(interval(3).ci.low - interval(2).ci.low)).toBeLessThan(0.2 * interval(2).standardError);
  });

  it("several baselines are one family: intervals after Bonferroni, p of the row tests after Holm", () => {
    const others = [12, 30].map((wrong) =>
      arm(
        `arm ${wrong}`,
        [0, 1, 2].map((k) => rows(100, wrong + k)),
      ),
    );
    const all = compareAll(winner, [baseline, ...others], { seed: 1 });
    const { ci } = all[0]!.difference;
    expect(ci.level).toBeCloseTo(1 - 0.05 / 3, 12);
    expect(ci.high - ci.low).toBeGreaterThan(found.difference.ci.high - found.difference.ci.low);
    expect(all.map((c) => c.rowTest.p)).toEqual(
      [2 / 2 ** 6, 2 / 2 ** 10, 2 / 2 ** 28].map((p) => expect.closeTo(p, 12)),
    );
    expect(all.map((c) => c.rowTest.adjustedP)).toEqual(
      [2 / 2 ** 6, (2 * 2) / 2 ** 10, (3 * 2) / 2 ** 28].map((p) => expect.closeTo(p, 12)),
    );
    expect(all.map((c) => c.rowTest.alpha)).toEqual([0.05, 0.05, 0.05].map((a) => expect.closeTo(a, 12)));
    expect(compareAll(winner, [baseline], { seed: 1 })).toEqual([found]);
    expect(compareAll(winner, [], { seed: 1 })).toEqual([]);
  });

  it("a baseline beaten alone may not be beaten any more as one of many", () => {
    // p = 2/2^6 = .031 alone; the weakest of six keeps it, six such are worth six times that.
    const same = Array.from({ length: 6 }, (_, i) => ({ ...baseline, name: `arm ${i}` }));
    expect(found.rowTest.adjustedP).toBeLessThan(0.05);
    for (const { rowTest, verdict } of compareAll(winner, same, { seed: 1 })) {
      expect(rowTest.adjustedP).toBeCloseTo((6 * 2) / 2 ** 6, 12);
      expect(verdict.word).toBe("no difference shown");
    }
  });

  it("spread of one value has no sd", () =>
    expect(spreadOf([0.5])).toEqual({ n: 1, mean: 0.5, sd: null, min: 0.5, max: 0.5 }));
});

describe("verdict sentences", () => {
  const text = (...args: Parameters<typeof compareArms>) => {
    const { word, text } = compareArms(...args).verdict;
    return `[${word}] ${text}`;
  };

  it("better and cheaper", () => {
    expect(
      text(arm("per-layer", five(480, 10), { cheap: true }), arm("uniform", five(480, 40)), { seed: 1 }),
    ).toMatchInlineSnapshot(
      `"[better] Better: per-layer beats uniform by 6.3 points of test accuracy (95 % interval +4.1 to +8.4; 5 seeds × 480 rows). Against uniform it needs 7.9 % of the trained parameters and 40 % of the training FLOPs with embeddings, layer.0–4 frozen (6 of 8 groups)."`,
    );
  });

  it("worse, although cheaper", () => {
    expect(
      text(arm("per-layer", five(480, 50), { cheap: true }), arm("uniform", five(480, 20)), { seed: 1 }),
    ).toMatchInlineSnapshot(
      `"[worse] Worse: per-layer loses 6.3 points of test accuracy against uniform (95 % interval −8.4 to −4.1; 5 seeds × 480 rows). Against uniform it needs 7.9 % of the trained parameters and 40 % of the training FLOPs with embeddings, layer.0–4 frozen (6 of 8 groups), at that loss."`,
    );
  });

  it("no gain, equal within the margin, most layers frozen", () => {
    expect(
      text(arm("per-layer", five(1000, 34), { cheap: true }), arm("uniform", five(1000, 33, 2)), { seed: 1 }),
    ).toMatchInlineSnapshot(
      `"[no difference shown] No gain over uniform shown: the difference is −0.1 points (95 % interval −0.4 to +0.2; 5 seeds × 1000 rows). The smallest difference these seeds and rows would have shown four times in five is 0.5 points. Against uniform it needs 7.9 % of the trained parameters and 40 % of the training FLOPs with embeddings, layer.0–4 frozen (6 of 8 groups). Most layers frozen at no loss is a result too: a loss of more than 0.4 points is excluded (they are called equal below 1.0)."`,
    );
  });

  it("no gain, and a loss beyond the margin is not excluded", () => {
    expect(
      text(arm("per-layer", five(200, 14), { cheap: true }), arm("uniform", five(200, 12, 7)), { seed: 1 }),
    ).toMatchInlineSnapshot(
      `"[no difference shown] No gain over uniform shown: the difference is −1.0 points (95 % interval −4.5 to +2.5; 5 seeds × 200 rows). The smallest difference these seeds and rows would have shown four times in five is 4.9 points. Against uniform it needs 7.9 % of the trained parameters and 40 % of the training FLOPs with embeddings, layer.0–4 frozen (6 of 8 groups), but a loss of up to 4.5 points is not excluded (they are called equal below 1.0)."`,
    );
  });

  it("no gain, not cheaper", () => {
    expect(
      text(arm("per-layer", five(200, 14)), arm("uniform", five(200, 12, 7)), { seed: 1 }),
    ).toMatchInlineSnapshot(
      `"[no difference shown] No gain over uniform shown: the difference is −1.0 points (95 % interval −4.5 to +2.5; 5 seeds × 200 rows). The smallest difference these seeds and rows would have shown four times in five is 4.9 points."`,
    );
    const dear = arm("LLRD", five(200, 14));
    const seeds = dear.seeds.map((s) => ({ ...s, cost: { ...s.cost, seconds: 30, flops: 5e12 } }));
    expect(text({ ...dear, seeds }, arm("uniform", five(200, 12, 7)), { seed: 1 })).toMatchInlineSnapshot(
      `"[no difference shown] No gain over uniform shown: the difference is −1.0 points (95 % interval −4.4 to +2.4; 5 seeds × 200 rows). The smallest difference these seeds and rows would have shown four times in five is 4.8 points. It is not cheaper: 1.25× the training FLOPs and 1.50× the time of uniform."`,
    );
  });

  it("one seed cannot decide", () => {
    const found = compareArms(arm("per-layer", [rows(480, 5)]), arm("uniform", [rows(480, 50)]), { seed: 1 });
    expect(found.verdict.word).toBe("no difference shown");
    expect(found.dz).toBeNull();
    expect(found.verdict.text).toMatchInlineSnapshot(
      `"No gain over uniform shown: the difference is +9.4 points (95 % interval +6.8 to +12.1; 1 seed × 480 rows). One seed cannot show what another would give: the interval covers the choice of test rows only."`,
    );
  });

  it("five rows, all for the winner: the interval alone would be too sure", () => {
    const always = (wrong: number) => Array.from({ length: 5 }, () => rows(480, wrong));
    const found = compareArms(arm("per-layer", always(10)), arm("uniform", always(15)), { seed: 1 });
    expect(found.difference.ci.low).toBeGreaterThan(0);
    expect(found.rowTest.p).toBe(0.0625);
    expect(found.verdict.word).toBe("no difference shown");
    expect(found.verdict.caveats).toMatchInlineSnapshot(`
      [
        "The interval excludes zero, but the exact test over rows does not (p = .063): only 5 rows differ.",
      ]
    `);
  });

  it("same rows right everywhere", () => {
    const found = compareArms(arm("per-layer", five(480, 9), { cheap: true }), arm("uniform", five(480, 9)), {
      seed: 1,
    });
    expect(found.verdict.detectable).toBe(3 / 480);
    expect(found.verdict.text).toMatchInlineSnapshot(
      `"No gain over uniform shown: the difference is 0.0 points (95 % interval 0.0 to 0.0; 5 seeds × 480 rows). The smallest difference these seeds and rows would have shown four times in five is 0.6 points. Against uniform it needs 7.9 % of the trained parameters and 40 % of the training FLOPs with embeddings, layer.0–4 frozen (6 of 8 groups). Most layers frozen at no loss is a result too: a loss of more than 0.6 points (3 of 480 rows: what none shows may still be) is excluded (they are called equal below 1.0). Both were right on exactly the same rows under every seed."`,
    );
  });

  it("unpaired seeds and unequal budgets are said", () => {
    const { verdict, unpairedSeeds } = compareArms(
      arm("per-layer", five(480, 9), { trials: 60 }),
      arm("uniform", five(480, 9), { firstSeed: 3 }),
      { seed: 1 },
    );
    expect(unpairedSeeds).toEqual([0, 1, 2, 5, 6, 7]);
    expect(verdict.caveats.slice(-2)).toMatchInlineSnapshot(`
      [
        "Not used, since only one of the two was trained on them: seed 0, 1, 2, 5, 6, 7.",
        "The budgets differ: 60 trials for per-layer, only 40 for uniform.",
      ]
    `);
  });
});

describe("what cannot be compared", () => {
  it("names arm and seed", () => {
    const a = arm("per-layer", [rows(10, 1), rows(9, 1)]);
    expect(() =>
      compareArms(a, arm("uniform", [rows(10, 1), rows(10, 1)]), { seed: 1 }),
    ).toThrowErrorMatchingInlineSnapshot(`
      [DataError: Cannot compare the two arms.
        per-layer, seed 1   expected 10 test rows, received 9]
    `);
    expect(() =>
      compareArms(a, arm("uniform", [rows(10, 1)], { firstSeed: 7 }), { seed: 1 }),
    ).toThrowErrorMatchingInlineSnapshot(`
      [DataError: Cannot compare the two arms.
        seeds   expected at least one seed in both arms, received per-layer: 0, 1; uniform: 7]
    `);
    expect(() =>
      compareArms(arm("a", [[]]), arm("b", [[]]), { seed: 1 }),
    ).toThrowErrorMatchingInlineSnapshot(`
      [DataError: Cannot compare the two arms.
        correct   expected at least one test row, received none]
    `);
  });
});

describe("two-way variance", () => {
  it("is that of the analysis of variance, and of a single mean where only one thing varies", () => {
    // Rows alike, seeds differ: variance of a mean of 4 seeds. sd² of (1, 0, 1, 1) = .25; df 3.
    const seedsOnly = [1, 0, 1, 1].map((value) => new Int8Array(10).fill(value));
    expect(twoWay(seedsOnly)).toEqual({
      mean: 0.75,
      variance: expect.closeTo(0.25 / 4, 12),
      df: expect.closeTo(3, 12),
    });
    // Seeds alike, rows differ: sd² of ten values with three ones = .2333; df 9.
    const rowsOnly = [0, 1, 2].map(() => Int8Array.from([1, 1, 1, 0, 0, 0, 0, 0, 0, 0]));
    expect(twoWay(rowsOnly)).toEqual({
      mean: 0.3,
      variance: expect.closeTo(7 / 30 / 10, 12),
      df: expect.closeTo(9, 12),
    });
    const { mean, variance } = twoWay([Int8Array.from([1, 1, 0]), Int8Array.from([0, 1, -1])]);
    expect(mean).toBeCloseTo(1 / 3, 12);
    expect(variance).toBeCloseTo(variance2x3(), 12);
    expect(twoWay([new Int8Array(5)]).variance).toBe(0);
  });

  /** The same table by the textbook's sums. */
  function variance2x3(): number {
    const d = [
      [1, 1, 0],
      [0, 1, -1],
    ];
    const grand = 1 / 3;
    const seedMeans = [2 / 3, 0];
    const rowMeans = [0.5, 1, -0.5];
    let rest = 0;
    for (let s = 0; s < 2; s += 1)
      for (let i = 0; i < 3; i += 1) rest += (d[s]![i]! - seedMeans[s]! - rowMeans[i]! + grand) ** 2;
    const msRest = rest / 2;
    const msSeed = 3 * seedMeans.reduce((sum, m) => sum + (m - grand) ** 2, 0);
    const msRow = (2 * rowMeans.reduce((sum, m) => sum + (m - grand) ** 2, 0)) / 2;
    return (msRest + Math.max(0, msSeed - msRest) + Math.max(0, msRow - msRest)) / 6;
  }
});

describe("too little to claim", () => {
  /** Every seed of the winner right on all rows, of the baseline on half: as clear as can be. */
  const clear = (seeds: number, of = 200) => [
    Array.from({ length: seeds }, () => Array.from({ length: of }, () => true)),
    Array.from({ length: seeds }, () => Array.from({ length: of }, (_, i) => i % 2 === 0)),
  ];

  it("two seeds", () => {
    const [w, b] = clear(2);
    const { verdict } = compareArms(arm("w", w!), arm("b", b!), { seed: 1 });
    expect([verdict.word, verdict.withinMargin, verdict.detectable]).toEqual([
      "no difference shown",
      false,
      null,
    ]);
    expect(verdict.caveats).toMatchInlineSnapshot(`
      [
        "Two seeds are too few to tell two configurations apart: three at least are asked for.",
      ]
    `);
    const [w3, b3] = clear(3);
    expect(compareArms(arm("w", w3!), arm("b", b3!), { seed: 1 }).verdict.word).toBe("better");
  });

  it("an arm that diverged where the other did not", () => {
    const [w, b] = clear(3);
    const whole = { ...arm("b", b!), seeds: [...arm("b", b!).seeds, { ...arm("b", b!).seeds[0]!, seed: 7 }] };
    const { verdict, unpairedSeeds } = compareArms(arm("w", w!, { diverged: [7] }), whole, { seed: 1 });
    expect(verdict.word).toBe("no difference shown");
    expect(unpairedSeeds).toEqual([]);
    expect(verdict.caveats).toMatchInlineSnapshot(`
      [
        "w diverged under seed 7: no score there, and those of its other seeds look better for it.",
      ]
    `);
    const other = compareArms(arm("w", w!, { diverged: [7] }), arm("b", b!, { diverged: [8] }), { seed: 1 });
    expect(other.verdict.word).toBe("no difference shown");
    // Where both did, the rest may speak.
    expect(
      compareArms(arm("w", w!, { diverged: [7] }), arm("b", b!, { diverged: [7] }), { seed: 1 }).verdict.word,
    ).toBe("better");
  });
});

describe("the interval keeps its promise", () => {
  // True difference: the mean of `effect` over many rows and seeds is what is being estimated.
  it.each([
    { seeds: 5, rows: 300, seedSd: 0.005 },
    { seeds: 5, rows: 300, seedSd: 0.03 },
    { seeds: 3, rows: 150, seedSd: 0.01 },
    { seeds: 3, rows: 300, seedSd: 0.06 },
  ])("covers the truth 92 to 98 times in 100: $seeds seeds, $rows rows, seed sd $seedSd", (setting) => {
    const sims = 200;
    let covered = 0;
    let wrong = 0;
    for (let k = 0; k < sims; k += 1) {
      const [w, b] = twoArms(new Random(k, "coverage"), { ...setting, effect: 0 });
      const { difference, verdict } = compareArms(arm("w", w), arm("b", b), { seed: k, resamples: 300 });
      if (difference.ci.low <= 0 && difference.ci.high >= 0) covered += 1;
      if (verdict.word !== "no difference shown") wrong += 1;
    }
    // 600 give .988, .972, .977 and .955, these 200 .98, .975, .975 and .935; 1.4 times as wide 1, .99, 1 and .975.
    expect(covered / sims).toBeGreaterThanOrEqual(0.92);
    expect(covered / sims).toBeLessThanOrEqual(0.985);
    expect(wrong).toBeLessThanOrEqual(sims - covered);
  });

  it("finds a real difference", () => {
    const words = Array.from({ length: 20 }, (_, k) => {
      const [w, b] = twoArms(new Random(k, "power"), { effect: 0.08 });
      return compareArms(arm("w", w), arm("b", b), { seed: k, resamples: 500 }).verdict.word;
    });
    expect(words.filter((word) => word === "better").length).toBeGreaterThanOrEqual(16);
  });
});
