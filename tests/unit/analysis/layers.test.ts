import { describe, expect, it } from "vitest";
import { rankBiserial } from "../../../src/analysis/correlation.js";
import { analyseLayers } from "../../../src/analysis/layers.js";
import { bestTrials, history, paretoFront } from "../../../src/analysis/pareto.js";
import { criticalRankBiserial } from "../../../src/analysis/power.js";
import { Random } from "../../../src/analysis/random.js";
import type { LayerTrial } from "../../../src/analysis/types.js";
import { GROUPS, randomTrials } from "./arms.js";

const FAST = { seed: 1, permutations: 999, resamples: 200 };
const noise = (random: Random) => () => 0.9 + 0.02 * random.normal();

/** layer.4 hurts when frozen; head is better the faster. */
function planted(count = 80) {
  const random = new Random(7, "planted");
  return randomTrials(random, count, (rates) => {
    const speed = rates.head! > 0 ? 0.01 * (Math.log10(rates.head!) + 4) : 0;
    return 0.9 - (rates["layer.4"] === 0 ? 0.04 : 0) + speed + 0.01 * random.normal();
  });
}

describe("analyseLayers", () => {
  const found = analyseLayers(planted(), FAST);
  const group = (name: string) => found.groups.find((g) => g.group === name)!;

  it("finds what was planted, and only that", () => {
    expect(found.groups.map((g) => g.group)).toEqual(GROUPS);
    expect(group("layer.4").random.frozen.rankBiserial).toMatchObject({
      permutation: { p: 0.001 },
      reason: null,
    });
    expect(group("layer.4").random.frozen.rankBiserial.r).toBeLessThan(-0.5);
    expect(group("head").random.rate.partial.r).toBeGreaterThan(0.3);
    expect(
      found.ranking
        .filter((g) => g.significant)
        .map((g) => [g.group, g.reading])
        .sort(),
    ).toEqual([
      ["head", "better with a higher rate"],
      ["layer.4", "better trained"],
    ]);
    expect(found.summary).toMatchInlineSnapshot(
      `"2 of 8 groups pass q < .05: head (better with a higher rate); layer.4 (better trained). Nothing is shown for embeddings, layer.0–3, layer.5."`,
    );
  });

  it("gives n, p, q and an interval with every number", () => {
    const { frozen, rate } = group("layer.1").random;
    expect(frozen.trials).toBe(80);
    expect(rate.spearman.n).toBe(80 - frozen.frozenTrials);
    for (const a of [frozen.pointBiserial, frozen.rankBiserial, rate.pearson, rate.spearman, rate.partial]) {
      expect(a.permutation!.p).toBeGreaterThan(0);
      expect(a.ci!.low).toBeLessThan(a.r!);
      expect(a.ci!.high).toBeGreaterThan(a.r!);
    }
    for (const a of [frozen.rankBiserial, rate.partial]) expect(a.q).toBeGreaterThanOrEqual(a.permutation!.p);
    expect([frozen.pointBiserial.q, rate.pearson.q, rate.spearman.q]).toEqual([null, null, null]);
  });

  it("repeats for a seed, and one group's numbers do not hang on the others", () => {
    expect(analyseLayers(planted(), FAST)).toEqual(found);
    const without = planted().map((trial) => {
      const { embeddings: _, ...rates } = trial.rates;
      return { ...trial, rates };
    });
    const { random } = analyseLayers(without, FAST).groups.find((g) => g.group === "layer.4")!;
    expect(random.frozen.rankBiserial).toEqual({
      ...group("layer.4").random.frozen.rankBiserial,
      q: expect.any(Number),
    });
  });

  it("turns the sign when the objective is minimised", () => {
    const losses = planted().map((trial) => ({ ...trial, value: 1 - trial.value! }));
    const turned = analyseLayers(losses, { ...FAST, direction: "minimize" });
    expect(turned.groups[5]!.random.frozen.rankBiserial.r).toBeCloseTo(
      group("layer.4").random.frozen.rankBiserial.r!,
      12,
    );
  });

  it("takes the optimised arm as description: r and n, no p, no interval, no inference", () => {
    const optimised = planted().map((trial): LayerTrial => ({ ...trial, arm: "optimized" }));
    const described = analyseLayers(optimised, FAST);
    const layer = described.groups[5]!;
    expect(layer.optimized.descriptive).toBe(true);
    expect(layer.optimized.frozen.rankBiserial).toMatchObject({
      permutation: null,
      asymptoticP: null,
      q: null,
      ci: null,
    });
    expect(layer.optimized.frozen.rankBiserial.r).toBeLessThan(-0.5);
    expect(layer.random.frozen.rankBiserial.r).toBeNull();
    expect(described.summary).toMatchInlineSnapshot(
      `"No group could be tested: the random arm has too few trials, or froze nothing and varied nothing."`,
    );
    expect(described.notTested[0]).toMatchInlineSnapshot(
      `"No random trials: nothing here is evidence about layers."`,
    );
  });

  it("leaves warm starts, failed and pruned trials out, and says how many", () => {
    const mixed = planted(30).map((trial, i): LayerTrial => {
      if (i === 0) return { ...trial, arm: "warm-start", value: 0.1 };
      if (i === 1) return { ...trial, state: "PRUNED" };
      if (i === 2) return { ...trial, state: "FAIL", value: null };
      if (i === 3) return { ...trial, value: Number.NaN };
      if (i === 4) return { ...trial, state: "RUNNING", value: null };
      return trial;
    });
    const { arms, notTested } = analyseLayers(mixed, FAST);
    expect(arms).toEqual([
      { arm: "warm-start", trials: 1, used: 1, excluded: 0 },
      { arm: "random", trials: 28, used: 25, excluded: 3 },
      { arm: "optimized", trials: 0, used: 0, excluded: 0 },
    ]);
    expect(notTested.find((line) => line.includes("left out"))).toMatchInlineSnapshot(
      `"3 random trials of 28 ended without a value and are left out. Trials that fail do so for a reason (often a rate too high): the rest is not a random sample any more."`,
    );
  });

  it("says what was not tested", () => {
    const random = new Random(3);
    const trials = randomTrials(random, 40, noise(random)).map((trial, i) => ({
      ...trial,
      rates: {
        ...trial.rates,
        embeddings: 0,
        head: 1e-3,
        // layer.1 is frozen with layer.0, but for one trial; layer.2 is hardly ever trained.
        "layer.1": i === 0 ? 1e-4 : trial.rates["layer.0"]!,
        "layer.2": i % 8 === 0 ? 1e-4 * (i + 1) : 0,
      },
    }));
    expect(analyseLayers(trials, FAST).notTested).toMatchInlineSnapshot(`
      [
        "With 40 random trials |r| must exceed .36 to .55 for freezing and .38 to .95 for a rate (5 to 28 trials) at p < .05; after correction over 12 tests .53 at the least. Weaker layers cannot be told from chance.",
        "Frozen or not: head was never frozen in the random arm.",
        "Rate: embeddings was always frozen in the random arm.",
        "Rate: layer.2 was trained in fewer than 10 random trials.",
        "Which of two groups frozen together matters: layer.0 and layer.1 (φ = 1.00) cannot be told apart.",
        "Effects that rise and fall again (a best rate in the middle) and layers that only matter together: correlations see neither.",
        "Interventions (freeze one layer, train one, roll one back, re-initialise one) were not run: these are associations, not causes.",
        "Other data: all of this is one dataset, one split, one seed a trial. Another task, split or model may rank the layers otherwise.",
      ]
    `);
  });

  it("reads no meaning into noise", () => {
    const random = new Random(12);
    const { summary, ranking, agreement } = analyseLayers(randomTrials(random, 60, noise(random)), FAST);
    expect(summary).toMatchInlineSnapshot(
      `"No layer is shown to matter: none of 8 groups passes q < .05, so read the order below as noise."`,
    );
    expect(ranking.every((g) => !g.significant && g.reading === "not shown")).toBe(true);
    expect(agreement).toBeGreaterThanOrEqual(0);
    expect(agreement).toBeLessThanOrEqual(1);
    expect(ranking.map((g) => g.disagreement).find((text) => text !== null)).toMatchInlineSnapshot(
      `"rank 1 by “frozen or not”, 8 by “rate given global”"`,
    );
  });

  it("says nothing of layers where the objective follows the global rate alone", () => {
    const random = new Random(5);
    // Every layer's rate goes along with it.
    const trials = randomTrials(random, 80, () => 0).map((trial): LayerTrial => {
      const globalLog = -6 + 4 * random.uniform();
      const rates = Object.fromEntries(GROUPS.map((g) => [g, 10 ** (globalLog + 0.4 * random.normal())]));
      return { ...trial, rates, globalRate: 10 ** globalLog, value: globalLog + 0.3 * random.normal() };
    });
    const { groups, ranking } = analyseLayers(trials, FAST);
    expect(groups.every((g) => g.random.rate.spearman.permutation!.p < 0.05)).toBe(true);
    expect(groups.every((g) => g.random.rate.partial.q! > 0.05)).toBe(true);
    expect(ranking.every((g) => !g.significant && g.reading === "not shown")).toBe(true);
  });

  it("does not put first, of noise, what was trained or frozen least", () => {
    const first = new Map<string, number>();
    for (let search = 0; search < 60; search += 1) {
      const random = new Random(search, "depths");
      const trials = randomTrials(random, 12, noise(random)).map((trial) => {
        // As the search draws: layer i is trained in few trials below, in nearly all above.
        const depth = random.below(GROUPS.length);
        const rates = Object.fromEntries(
          GROUPS.map((g, i) => [g, i < depth && g !== "head" ? 0 : 10 ** (-6 + 2 * random.uniform())]),
        );
        return { ...trial, rates };
      });
      const top = analyseLayers(trials, { ...FAST, permutations: 199, resamples: 0 }).ranking[0]!.group;
      first.set(top, (first.get(top) ?? 0) + 1);
    }
    expect(Math.max(...first.values())).toBeLessThan(20); // of 60
  });

  it("puts what is shown before what is not", () => {
    const { ranking } = analyseLayers(planted(40), FAST);
    const shown = ranking.map((g) => g.significant);
    expect(shown).toContain(true);
    expect(shown).toEqual([...shown].sort((a, b) => Number(b) - Number(a)));
  });

  it("has defined results for no trials, one trial, and constant values", () => {
    const none = analyseLayers([], FAST);
    expect([none.groups, none.ranking, none.agreement]).toEqual([[], [], null]);
    const one = analyseLayers(planted(1), FAST);
    expect(one.groups.every((g) => g.random.rate.spearman.r === null)).toBe(true);
    const flat = analyseLayers(
      planted(20).map((trial) => ({ ...trial, value: 0.5 })),
      FAST,
    );
    expect(flat.groups.every((g) => g.random.rate.pearson.r === null)).toBe(true);
    expect(flat.ranking.every((g) => !g.significant)).toBe(true);
  });
});

describe("power", () => {
  const of = (n: number) => {
    const random = new Random(n, "power");
    return analyseLayers(randomTrials(random, n, noise(random)), FAST).power;
  };

  it("says in words what n can show, each test by the trials it has", () => {
    expect(of(100).sentence).toMatchInlineSnapshot(
      `"With 100 random trials |r| must exceed .23 to .26 for freezing and .23 to .26 for a rate (60 to 75 trials) at p < .05; after correction over 16 tests .34 at the least. Weaker layers cannot be told from chance."`,
    );
    expect(of(12).sentence).toMatchInlineSnapshot(
      `"With 12 random trials |r| must exceed .68 to .91 for freezing and .67 to .95 for a rate (5 to 10 trials) at p < .05; after correction over 16 tests .86 at the least. Weaker layers cannot be told from chance."`,
    );
    expect(of(4).sentence).toMatchInlineSnapshot(
      `"4 random trials: too few to show anything. After correction over 8 tests no correlation would be enough."`,
    );
    expect(of(2).sentence).toMatchInlineSnapshot(`"2 random trials: too few for any test."`);
  });

  it("says of freezing what the permutation test asks for, to .06", () => {
    // n₁ neighbours among twelve values frozen: |r| from 1 down to about 0 and up again.
    for (const n1 of [2, 3, 5, 6]) {
      const critical = criticalRankBiserial(n1, 12 - n1)!;
      for (let shift = 0; shift <= 12 - n1; shift += 1) {
        const frozen = Array.from({ length: 12 }, (_, i) => i >= shift && i < shift + n1);
        const values = frozen.map((_, i) => i);
        const test = rankBiserial(frozen, values, {
          ...{ level: 0.95, permutations: 9999, resamples: 0, random: new Random(1) },
        });
        if (Math.abs(test.r!) > critical + 0.06) expect(test.permutation!.p).toBeLessThan(0.05);
        if (Math.abs(test.r!) < critical - 0.06) expect(test.permutation!.p).toBeGreaterThan(0.05);
      }
    }
    expect(criticalRankBiserial(1, 11)).toBeNull(); // 2 of 12 splits at best: p = .17
    expect(criticalRankBiserial(2, 2)).toBeNull();
    expect(criticalRankBiserial(50, 50)).toBeCloseTo(1.959964 * Math.sqrt(101 / 7500), 6);
  });
});

describe("history and Pareto front", () => {
  const cost = (flops: number) => ({ seconds: flops, flops, trainedParameters: flops });
  const trial = (
    number: number,
    value: number | null,
    flops: number,
    state: LayerTrial["state"] = "COMPLETE",
  ) => ({ number, arm: "random", state, value, rates: {}, cost: cost(flops) }) satisfies LayerTrial;
  const trials = [
    trial(3, 0.9, 4),
    trial(0, 0.7, 2),
    trial(1, 0.8, 5, "PRUNED"),
    trial(2, null, 1, "FAIL"),
    trial(4, 0.8, 3),
    trial(5, 0.9, 4),
    trial(6, 0.9, 9),
    trial(7, 0.75, 3),
  ];

  it("best so far counts complete trials only", () => {
    expect(history(trials, "maximize").map((p) => p.best)).toEqual([0.7, 0.7, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9]);
    expect(history(trials, "minimize").map((p) => p.best)).toEqual([0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]);
    expect(history([trial(0, null, 1, "FAIL")], "maximize")[0]!.best).toBeNull();
  });

  it("the best first, of equals the cheaper, then the earlier", () => {
    const numbers = (list: readonly LayerTrial[]) => bestTrials(list, "maximize").map((t) => t.number);
    expect(numbers([trial(9, 0.9, 3), ...trials])).toEqual([9, 3, 5, 6, 4, 7, 0]);
    const [a, b, c] = [0.3, null, 0.2].map((validationLoss, i) => ({ ...trial(i, 0.5, 1), validationLoss }));
    expect(numbers([a!, b!, c!])).toEqual([2, 0, 1]); // as the search chooses
    expect(bestTrials(trials, "minimize")[0]!.number).toBe(0);
  });

  it("no trial on the front is matched by a cheaper one; equals share it", () => {
    const front = (direction: "maximize" | "minimize") =>
      paretoFront(trials, direction)
        .filter((p) => p.onFront)
        .map((p) => p.trial.number);
    expect(front("maximize")).toEqual([0, 4, 3, 5]);
    expect(front("minimize")).toEqual([0]);
  });
});
