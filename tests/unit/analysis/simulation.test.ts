/**
 * Does the protocol keep its error rate, and is the random arm needed at all? Seeded simulations of whole searches.
 *
 * One search: seven layers whose rates do nothing, a head whose rate matters, noise. Asked of each idle layer: does its
 * rate go with the objective (Pearson, p < .05)?
 */
import { describe, expect, it } from "vitest";
import { pearson } from "../../../src/analysis/correlation.js";
import { binomialCdf } from "../../../src/analysis/distributions.js";
import { analyseLayers } from "../../../src/analysis/layers.js";
import { groupedQ } from "../../../src/analysis/multiplicity.js";
import { Random } from "../../../src/analysis/random.js";
import { METHOD_NAMES, METHODS } from "../../../src/analysis/ranking.js";
import type { LayerTrial } from "../../../src/analysis/types.js";
import { latinHypercube } from "../../../src/study/samplers/latin-hypercube.js";
import { GROUPS, randomTrials } from "./arms.js";

const FOUR = ["embeddings", "layer.0", "layer.1", "head"];
const TRIALS = 50;
const LOW = -6;
const HIGH = -2;
type LogRates = Record<string, number>;

const objective = (random: Random) => (logs: LogRates) =>
  0.9 + 0.02 * ((logs.head! - LOW) / (HIGH - LOW)) + 0.01 * random.normal();

function uniformRates(random: Random): LogRates {
  return Object.fromEntries(GROUPS.map((group) => [group, LOW + (HIGH - LOW) * random.uniform()]));
}

/**
 * What every good optimiser does, at its plainest: after ten random trials it proposes near one of the best five, with a
 * width that shrinks. Values rise as it learns the head, and the idle layers drift along with time.
 */
function adaptiveSearch(random: Random): { logs: LogRates; value: number }[] {
  const evaluate = objective(random);
  const done: { logs: LogRates; value: number }[] = [];
  for (let t = 0; t < TRIALS; t += 1) {
    const best = [...done].sort((a, b) => b.value - a.value).slice(0, 5);
    const parent = best[best.length > 0 ? random.below(best.length) : 0];
    const width = (HIGH - LOW) * 0.35 * 0.97 ** t;
    const logs =
      t < 10 || !parent
        ? uniformRates(random)
        : Object.fromEntries(
            GROUPS.map((g) => [g, Math.min(HIGH, Math.max(LOW, parent.logs[g]! + width * random.normal()))]),
          );
    done.push({ logs, value: evaluate(logs) });
  }
  return done;
}

/** As a study draws its randomised arm. */
function randomSearch(random: Random): { logs: LogRates; value: number }[] {
  const evaluate = objective(random);
  const space = GROUPS.map((name) => ({
    name,
    distribution: { kind: "float" as const, low: LOW, high: HIGH },
  }));
  const arm = latinHypercube(space, TRIALS, random.below(2 ** 31)) as unknown as LogRates[];
  return arm.map((logs) => ({ logs, value: evaluate(logs) }));
}

/** Tests of idle layers that come out significant, and all of them. */
function falsePositives(search: (random: Random) => { logs: LogRates; value: number }[], sims: number) {
  let positive = 0;
  let tests = 0;
  for (let k = 0; k < sims; k += 1) {
    const trials = search(new Random(k, "simulation"));
    const values = trials.map((trial) => trial.value);
    for (const group of GROUPS.filter((g) => g !== "head")) {
      const logs = trials.map((trial) => trial.logs[group]!);
      const { asymptoticP } = pearson(logs, values, { random: new Random(k), permutations: 0, resamples: 0 });
      tests += 1;
      if (asymptoticP! < 0.05) positive += 1;
    }
  }
  return { positive, tests };
}

/** P(X > k). */
const binomialSf = (k: number, n: number, p: number) => binomialCdf(n - k - 1, n, 1 - p);

/** Whether `positive` of `tests` is within the central 99.9 % of a binomial with the nominal rate. */
function withinNominal(positive: number, tests: number, nominal = 0.05): boolean {
  return binomialCdf(positive, tests, nominal) > 0.0005 && binomialSf(positive - 1, tests, nominal) > 0.0005;
}

describe("false positives at p < .05", () => {
  it("random arm: within the binomial interval of the nominal rate", () => {
    const { positive, tests } = falsePositives(randomSearch, 300);
    expect(withinNominal(positive, tests), `${positive} of ${tests}`).toBe(true);
  });

  it("optimised arm, analysed as if it were random: far above it", () => {
    const { positive, tests } = falsePositives(adaptiveSearch, 300);
    expect(positive / tests).toBeGreaterThan(0.1);
    expect(withinNominal(positive, tests)).toBe(false);
  });
});

describe("the whole of analyseLayers on random trials", () => {
  const settings = { permutations: 199, resamples: 0 };

  it("with no effect: permutation p at its nominal rate for every statistic", () => {
    const counts = new Map<string, number>();
    let tests = 0;
    const sims = 60;
    for (let k = 0; k < sims; k += 1) {
      const random = new Random(k, "null");
      const trials = randomTrials(random, 40, () => 0.9 + 0.02 * random.normal());
      const { groups } = analyseLayers(trials, { seed: k, ...settings });
      for (const { random: arm } of groups) {
        tests += 1;
        for (const a of [
          arm.frozen.pointBiserial,
          arm.frozen.rankBiserial,
          arm.rate.pearson,
          arm.rate.spearman,
          arm.rate.partial,
        ])
          if (a.permutation!.p <= 0.05) counts.set(a.method, (counts.get(a.method) ?? 0) + 1);
      }
    }
    expect(counts.size).toBe(5);
    for (const [method, positive] of counts)
      expect(withinNominal(positive, tests), `${method}: ${positive} of ${tests}`).toBe(true);
  });

  it("with no effect: some layer is shown to matter at the nominal rate; one correction a method would do so above it", () => {
    const sims = 250;
    let shown = 0;
    let perMethod = 0;
    for (let k = 0; k < sims; k += 1) {
      const random = new Random(k, "global null");
      const trials = randomTrials(random, 30, () => 0.9 + 0.02 * random.normal()).map((trial) => ({
        ...trial,
        rates: Object.fromEntries(FOUR.map((group) => [group, trial.rates[group]!])),
      }));
      const { groups, ranking, summary } = analyseLayers(trials, {
        seed: k,
        permutations: 999,
        resamples: 0,
      });
      if (ranking.some((group) => group.significant)) shown += 1;
      expect(summary.startsWith("No layer is shown")).toBe(ranking.every((group) => !group.significant));
      const passes = METHOD_NAMES.some((method) =>
        groupedQ(groups.map((g) => [METHODS[method](g).permutation!.p])).some(([q]) => q! < 0.05),
      );
      if (passes) perMethod += 1;
    }
    expect(withinNominal(shown, sims), `${shown} of ${sims}`).toBe(true);
    // Two methods with 5 % each: 21 of 250 here, where one is expected to have 12 or 13.
    expect(binomialSf(perMethod - 1, sims, 0.05), `${perMethod} of ${sims}`).toBeLessThan(0.02);
  }, 120_000);

  it("with an effect: finds it in nearly every search of 60 trials", () => {
    let found = 0;
    for (let k = 0; k < 30; k += 1) {
      const random = new Random(k, "effect");
      const trials: LayerTrial[] = randomTrials(
        random,
        60,
        (rates) => 0.9 - (rates["layer.5"] === 0 ? 0.03 : 0) + 0.015 * random.normal(),
      );
      const { ranking } = analyseLayers(trials, { seed: k, ...settings, permutations: 999 });
      if (ranking.find((g) => g.group === "layer.5")!.reading.startsWith("better trained")) found += 1;
    }
    expect(found).toBeGreaterThanOrEqual(28);
  });
});
