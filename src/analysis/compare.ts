/**
 * Does the winner beat the baseline? Two retrained configurations, the same seeds, the same test rows.
 *
 * d[s][i] ∈ {−1, 0, 1}: winner right minus baseline right, seed s, row i. Seeds and rows are crossed (the same rows are
 * scored under every seed), so
 * - the interval resamples seeds and rows independently, both arms together (`interval.ts`);
 * - the exact test over rows flips each row's sum over seeds as one (`rowTest`);
 * - the exact test over seeds flips each seed's mean difference (`signFlipTest`); 5 seeds cannot go below p = .0625.
 */
import { DataError, type Issue } from "../errors.js";
import { atOnce, type Pieces } from "../event-loop.js";
import { fairCoinP } from "./distributions.js";
import type { ArmSummary, Comparison, CostRatio, RowTest, SeedPair, Spread } from "./findings.js";
import { inNetworkOrder } from "./groups.js";
import { crossedInterval } from "./interval.js";
import { holm } from "./multiplicity.js";
import { accuracyStandardError } from "./power.js";
import { Random } from "./random.js";
import { integerSignFlipP, signFlipTest } from "./resampling.js";
import type { ArmResult, SeedResult, TrialCost } from "./types.js";
import { verdictOf } from "./verdict.js";
import { plural, probability } from "./words.js";

export interface CompareOptions {
  readonly seed: number;
  /** Chance that all intervals cover; 1 − level is that of any wrong "better" or "worse". @default 0.95 */
  readonly level?: number;
  /** Loss of accuracy still called equal. @default 0.01 */
  readonly margin?: number;
  /** @default 4000 */
  readonly resamples?: number;
}

/**
 * The winner against every baseline, as one family: intervals after Bonferroni, so that all of them cover at once; p of the
 * row tests after Holm. A verdict needs both, so the chance of any wrong one is at most 1 − level.
 */
export const compareAll = (...asked: Parameters<typeof compareInPieces>): Comparison[] =>
  atOnce(compareInPieces(...asked));

/** `compareAll`, which takes a second where test has tens of thousands of rows. */
export function* compareInPieces(
  winner: ArmResult,
  baselines: readonly ArmResult[],
  options: CompareOptions,
): Pieces<Comparison[]> {
  const { level = 0.95, margin = 0.01 } = options;
  const found: Facts[] = [];
  for (const baseline of baselines) found.push(yield* factsOf(winner, baseline, baselines.length, options));
  const adjusted = holm(found.map(({ rowTest }) => rowTest.p));
  return found.map((facts, i) => {
    const rowTest = { ...facts.rowTest, adjustedP: adjusted[i]!, alpha: 1 - level };
    return { ...facts, rowTest, verdict: verdictOf({ ...facts, rowTest }, margin) };
  });
}

/** A single comparison: nothing to correct for. */
export function compareArms(winner: ArmResult, baseline: ArmResult, options: CompareOptions): Comparison {
  return compareAll(winner, [baseline], options)[0]!;
}

/** What is found of one baseline alone. */
type Facts = Omit<Comparison, "verdict" | "rowTest"> & {
  readonly rowTest: Omit<RowTest, "adjustedP" | "alpha">;
};

function* factsOf(
  winner: ArmResult,
  baseline: ArmResult,
  comparisons: number,
  options: CompareOptions,
): Pieces<Facts> {
  const { seed, level = 0.95, resamples = 4000 } = options;
  const { pairs, unpairedSeeds, rows } = pairSeeds(winner, baseline);
  const d = pairs.map(([w, b]) =>
    Int8Array.from(w.correct, (right, i) => Number(right) - Number(b.correct[i]!)),
  );

  const seeds = pairs.map(([w, b], s) => seedPair(w, b, d[s]!));
  const differences = seeds.map((pair) => pair.difference);
  const familyLevel = 1 - (1 - level) / comparisons;
  const label = `compare/${winner.name}/${baseline.name}`;
  const difference = yield* crossedInterval(
    d,
    familyLevel,
    resamples,
    new Random(seed, `${label}/rows-and-seeds`),
  );
  const flips = signFlipTest(differences, new Random(seed, `${label}/sign-flip`), 99_999);
  const spread = spreadOf(differences);

  const pairedWinner = { ...winner, seeds: pairs.map(([w]) => w) };
  const pairedBaseline = { ...baseline, seeds: pairs.map(([, b]) => b) };
  const partial = {
    winner: summarise(pairedWinner, rows),
    baseline: summarise(pairedBaseline, rows),
    comparisons,
    rows,
    seeds,
    unpairedSeeds,
    difference,
    signFlip: { ...flips, smallestP: flips.exact ? Math.min(1, 2 / flips.count) : 1 / (flips.count + 1) },
    rowTest: yield* rowTest(d),
    dz: spread.sd !== null && spread.sd > 1e-12 ? spread.mean / spread.sd : null,
  };
  return { ...partial, costRatio: ratio(partial.winner.cost, partial.baseline.cost) };
}

/**
 * McNemar's exact test for several seeds, each row counted once. Pooling rows × seeds would count a row as often as there
 * are seeds although its outcomes under different seeds go together, and so claim too much; one test a seed would throw
 * away that they agree. Here a row's sum over seeds keeps its size and only its sign is flipped: exact for
 * exchangeable arms given the rows, and with one seed it is McNemar's exact test.
 */
export function* rowTest(d: readonly Int8Array[]): Pieces<Omit<RowTest, "adjustedP" | "alpha">> {
  const rows = d[0]?.length ?? 0;
  const sums = new Int32Array(rows);
  for (const seed of d) for (let i = 0; i < rows; i += 1) sums[i]! += seed[i]!;
  const winnerRows = sums.filter((sum) => sum > 0).length;
  const baselineRows = sums.filter((sum) => sum < 0).length;
  const p = yield* integerSignFlipP(sums);
  const sentence =
    `Of ${plural(rows, "test row")} the winner is more often right on ${winnerRows}, the baseline on ${baselineRows}` +
    ` (exact sign-flip test over rows, p = ${probability(p)}).`;
  return { p, winnerRows, baselineRows, sentence };
}

function seedPair(w: SeedResult, b: SeedResult, d: Int8Array): SeedPair {
  const winnerOnly = d.filter((value) => value > 0).length;
  const baselineOnly = d.filter((value) => value < 0).length;
  const winner = accuracy(w);
  const baseline = accuracy(b);
  return {
    seed: w.seed,
    winner,
    baseline,
    difference: (winnerOnly - baselineOnly) / d.length,
    winnerOnly,
    baselineOnly,
    mcnemarP: fairCoinP(winnerOnly, winnerOnly + baselineOnly),
  };
}

/** An arm by itself: mean and spread of its seeds, what it cost. @param rows of test. */
export function summarise(arm: ArmResult, rows: number): ArmSummary {
  const test = spreadOf(arm.seeds.map(accuracy));
  const groups = inNetworkOrder(Object.keys(arm.rates));
  return {
    name: arm.name,
    rates: arm.rates,
    frozenGroups: groups.filter((group) => arm.rates[group] === 0),
    trainedGroups: groups.filter((group) => arm.rates[group] !== 0),
    trials: arm.trials,
    diverged: arm.diverged ?? [],
    bestValidation: arm.bestValidation,
    validation: spreadOf(arm.seeds.map((s) => s.validation)),
    test,
    testStandardError: accuracyStandardError(test.mean, rows),
    optimism: arm.bestValidation - test.mean,
    cost: {
      seconds: meanOf(arm.seeds, (s) => s.cost.seconds),
      flops: meanOf(arm.seeds, (s) => s.cost.flops),
      trainedParameters: meanOf(arm.seeds, (s) => s.cost.trainedParameters),
    },
  };
}

function ratio(winner: TrialCost, baseline: TrialCost): CostRatio {
  const over = (a: number, b: number) => (b > 0 ? a / b : null);
  return {
    seconds: over(winner.seconds, baseline.seconds),
    flops: over(winner.flops, baseline.flops),
    trainedParameters: over(winner.trainedParameters, baseline.trainedParameters),
  };
}

type Pair = readonly [winner: SeedResult, baseline: SeedResult];

function pairSeeds(winner: ArmResult, baseline: ArmResult) {
  const bySeed = new Map(baseline.seeds.map((s) => [s.seed, s]));
  const pairs: Pair[] = winner.seeds.flatMap((w) => {
    const b = bySeed.get(w.seed);
    return b ? [[w, b] as const] : [];
  });
  const paired = new Set(pairs.map(([w]) => w.seed));
  const all = new Set([...winner.seeds, ...baseline.seeds].map((s) => s.seed));
  const rows = pairs[0]?.[0].correct.length ?? 0;
  const issues: Issue[] = [];
  if (pairs.length === 0) {
    const received = `${winner.name}: ${listSeeds(winner)}; ${baseline.name}: ${listSeeds(baseline)}`;
    issues.push({ path: "seeds", expected: "at least one seed in both arms", received });
  } else if (rows === 0) {
    issues.push({ path: "correct", expected: "at least one test row", received: "none" });
  }
  for (const [w, b] of pairs) {
    for (const [arm, result] of [
      [winner, w],
      [baseline, b],
    ] as const) {
      if (result.correct.length === rows) continue;
      const path = `${arm.name}, seed ${result.seed}`;
      issues.push({ path, expected: `${rows} test rows`, received: `${result.correct.length}` });
    }
  }
  if (issues.length > 0) throw new DataError("ERR_COMPARE", "Cannot compare the two arms.", issues);
  const diverged = new Set([...(winner.diverged ?? []), ...(baseline.diverged ?? [])]);
  return { pairs, unpairedSeeds: [...all].filter((s) => !paired.has(s) && !diverged.has(s)), rows };
}

function listSeeds(arm: ArmResult): string {
  return arm.seeds.map((s) => s.seed).join(", ") || "none";
}

function accuracy(result: SeedResult): number {
  return result.correct.filter(Boolean).length / result.correct.length;
}

export function spreadOf(values: readonly number[]): Spread {
  const n = values.length;
  const mean = values.reduce((total, v) => total + v, 0) / n;
  const sd = n > 1 ? Math.sqrt(values.reduce((total, v) => total + (v - mean) ** 2, 0) / (n - 1)) : null;
  return { n, mean, sd, min: Math.min(...values), max: Math.max(...values) };
}

function meanOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0) / items.length;
}
