/**
 * Bootstrap intervals and permutation tests, all seeded.
 *
 * Bootstrap: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 13–14. Permutation p with Monte Carlo:
 * Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010): (b + 1)/(m + 1), never zero.
 */
import type { Pieces } from "../event-loop.js";
import { normalCdf, normalQuantile } from "./distributions.js";
import type { Interval, PermutationTest } from "./findings.js";
import type { Random } from "./random.js";
import { identity } from "./ranks.js";

/** Up to 8! = 40 320 orders are counted one by one. */
const EXACT_PERMUTATION_N = 8;
/** Up to 2^16 sign patterns are counted one by one. */
const EXACT_SIGN_FLIP_N = 16;
/** Sums equal in theory differ by rounding; an order this close to the observed one counts as tied with it. */
const TIE = 1e-12;

/** Percentile with linear interpolation between order statistics (type 7 of Hyndman & Fan). `sorted` ascending. */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const position = Math.min(1, Math.max(0, p)) * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}

/** Percentile interval of bootstrap replicates. */
export function percentileInterval(replicates: ArrayLike<number>, level: number): Interval {
  const sorted = Float64Array.from(replicates).sort();
  const tail = (1 - level) / 2;
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail), level, method: "percentile" };
}

/**
 * Bias-corrected and accelerated interval (Efron, JASA 82, 1987):
 *   z0 = Φ⁻¹(share of replicates below the observed, ties half),  a = Σ d³ / (6 (Σ d²)^1.5),  d = mean − jackknife_i,
 *   percentile Φ(z0 + (z0 + z) / (1 − a (z0 + z))) at each end.
 * Falls back to the percentile interval where z0 or a does not exist (all replicates on one side, constant jackknife).
 */
export function bcaInterval(
  replicates: ArrayLike<number>,
  observed: number,
  jackknife: ArrayLike<number>,
  level: number,
): Interval {
  const sorted = Float64Array.from(replicates).sort();
  let below = 0;
  for (const value of sorted) below += value < observed ? 1 : value === observed ? 0.5 : 0;
  const z0 = normalQuantile(below / sorted.length);

  const left = Float64Array.from(jackknife);
  const mean = left.reduce((sum, value) => sum + value, 0) / left.length;
  let squares = 0;
  let cubes = 0;
  for (const value of left) {
    const d = mean - value;
    squares += d * d;
    cubes += d * d * d;
  }
  const acceleration = cubes / (6 * squares ** 1.5);
  if (!Number.isFinite(z0) || !Number.isFinite(acceleration)) return percentileInterval(sorted, level);

  const end = (tail: number) => {
    const z = z0 + normalQuantile(tail);
    return quantile(sorted, normalCdf(z0 + z / (1 - acceleration * z)));
  };
  const tail = (1 - level) / 2;
  return { low: end(tail), high: end(1 - tail), level, method: "bca" };
}

export interface BootstrapOptions {
  readonly n: number;
  /** Statistic of the rows named; null where it does not exist on them (a constant resample). */
  readonly statistic: (indices: Int32Array) => number | null;
  readonly random: Random;
  readonly resamples: number;
  readonly level: number;
}

/** BCa interval over rows. Null when the statistic is missing in more than a tenth of the resamples. */
export function bootstrapInterval(options: BootstrapOptions): Interval | null {
  const { n, statistic, random, resamples, level } = options;
  const observed = statistic(identity(n));
  if (observed === null || resamples < 1) return null;
  const indices = new Int32Array(n);
  const replicates: number[] = [];
  for (let b = 0; b < resamples; b += 1) {
    for (let i = 0; i < n; i += 1) indices[i] = random.below(n);
    const value = statistic(indices);
    if (value !== null) replicates.push(value);
  }
  if (replicates.length < 0.9 * resamples) return null;

  const leftOut = new Int32Array(n - 1);
  const jackknife: number[] = [];
  for (let out = 0; out < n; out += 1) {
    for (let i = 0; i < n - 1; i += 1) leftOut[i] = i < out ? i : i + 1;
    const value = statistic(leftOut);
    if (value === null) return percentileInterval(replicates, level);
    jackknife.push(value);
  }
  return bcaInterval(replicates, observed, jackknife, level);
}

/**
 * Two-sided permutation test of |statistic(shuffled y)| ≥ |statistic(y)|, where `statistic` is zero-centred under
 * exchange. All orders for n ≤ 8, else `count` random ones with the observed order counted among them.
 */
export function permutationTest(
  y: Float64Array,
  statistic: (y: Float64Array) => number,
  random: Random,
  count: number,
): PermutationTest {
  const bound = Math.abs(statistic(y));
  const atLeast = (value: number) => Math.abs(value) >= bound - TIE * Math.max(bound, 1e-30);
  const shuffled = Float64Array.from(y);
  let extreme = 0;
  if (y.length <= EXACT_PERMUTATION_N) {
    let orders = 0;
    forEachOrder(shuffled, (order) => {
      orders += 1;
      if (atLeast(statistic(order))) extreme += 1;
    });
    return { p: extreme / orders, exact: true, count: orders };
  }
  for (let k = 0; k < count; k += 1) {
    random.shuffle(shuffled);
    if (atLeast(statistic(shuffled))) extreme += 1;
  }
  return { p: (extreme + 1) / (count + 1), exact: false, count };
}

/** Visits all n! orders of `values`, in place (Heap, Comput. J. 6, 1963). */
function forEachOrder(values: Float64Array, visit: (values: Float64Array) => void): void {
  const counters = new Int32Array(values.length);
  visit(values);
  for (let i = 1; i < values.length; ) {
    if (counters[i]! >= i) {
      counters[i] = 0;
      i += 1;
      continue;
    }
    const j = i % 2 === 0 ? 0 : counters[i]!;
    const kept = values[i]!;
    values[i] = values[j]!;
    values[j] = kept;
    visit(values);
    counters[i]! += 1;
    i = 1;
  }
}

/**
 * Two-sided paired sign-flip test of a mean difference of zero (Fisher, "The Design of Experiments", 1935, §21).
 * Zero differences stay: they only make the test say less, as they should.
 */
export function signFlipTest(differences: readonly number[], random: Random, count: number): PermutationTest {
  const n = differences.length;
  const bound = Math.abs(differences.reduce((sum, d) => sum + d, 0));
  const scale = differences.reduce((sum, d) => sum + Math.abs(d), 0);
  const atLeast = (sum: number) => Math.abs(sum) >= bound - TIE * scale;
  let extreme = 0;
  if (n <= EXACT_SIGN_FLIP_N) {
    const patterns = 2 ** n;
    for (let bits = 0; bits < patterns; bits += 1) {
      let sum = 0;
      for (let i = 0; i < n; i += 1) sum += (bits >> i) & 1 ? -differences[i]! : differences[i]!;
      if (atLeast(sum)) extreme += 1;
    }
    return { p: extreme / patterns, exact: true, count: patterns };
  }
  for (let k = 0; k < count; k += 1) {
    let sum = 0;
    for (const d of differences) sum += random.uint32() & 1 ? -d : d;
    if (atLeast(sum)) extreme += 1;
  }
  return { p: (extreme + 1) / (count + 1), exact: false, count };
}

/**
 * Exact two-sided sign-flip test for integers: the distribution of Σ ±|d_i| by convolution, O(n Σ|d|).
 * With every |d_i| = 1 it is the binomial of McNemar's exact test.
 */
export function* integerSignFlipP(differences: ArrayLike<number>): Pieces<number> {
  const sizes: number[] = [];
  let observed = 0;
  for (let i = 0; i < differences.length; i += 1) {
    observed += differences[i]!;
    if (differences[i] !== 0) sizes.push(Math.abs(differences[i]!));
  }
  const total = sizes.reduce((sum, d) => sum + d, 0);
  // chance[s]: probability that the sizes given a plus sum to s; the signed sum is then 2s − total.
  const chance = new Float64Array(total + 1);
  chance[0] = 1;
  let reach = 0;
  for (const d of sizes) {
    // Downwards, so that each entry is read before this size is added to it.
    for (let s = reach; s >= 0; s -= 1) {
      chance[s]! /= 2;
      chance[s + d]! += chance[s]!;
    }
    reach += d;
    yield;
  }
  let p = 0;
  for (let s = 0; s <= total; s += 1) if (Math.abs(2 * s - total) >= Math.abs(observed)) p += chance[s]!;
  return Math.min(1, p);
}
