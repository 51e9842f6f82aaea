/**
 * Association of two columns: Pearson, Spearman, point-biserial, rank-biserial and partial correlation.
 *
 * Each answer holds r, n, a permutation p, the textbook p and a BCa bootstrap interval; what does not exist (constant
 * column, a value that is not finite, fewer than three rows) is null with the reason. Nothing is dropped silently.
 */
import { normalSf, studentTTwoSided } from "./distributions.js";
import type { Association, AssociationMethod } from "./findings.js";
import type { Random } from "./random.js";
import { distinctIds, identity, midranksOf, tieTerm } from "./ranks.js";
import { bootstrapInterval, permutationTest } from "./resampling.js";

export interface AssociationOptions {
  /** Streams for the permutations and the bootstrap. */
  readonly random: Random;
  /** Monte Carlo permutations; 0 leaves the permutation p out. @default 9999 */
  readonly permutations?: number;
  /** Bootstrap resamples; 0 leaves the interval out. @default 2000 */
  readonly resamples?: number;
  /** @default 0.95 */
  readonly level?: number;
}

/** r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²); p by t = r √((n−2)/(1−r²)), df n−2 (Student 1908; Pearson 1895). */
export function pearson(
  x: readonly number[],
  y: readonly number[],
  options: AssociationOptions,
): Association {
  return linear("pearson", x, y, raw(x), raw(y), options);
}

/** Pearson's r of midranks (Spearman 1904); p by the same t. */
export function spearman(
  x: readonly number[],
  y: readonly number[],
  options: AssociationOptions,
): Association {
  return linear("spearman", x, y, ranked(x), ranked(y), options);
}

/** Pearson's r with one column of zeros and ones (`group[i]` true = 1); p by t, which is the pooled two-sample t. */
export function pointBiserial(
  group: readonly boolean[],
  y: readonly number[],
  options: AssociationOptions,
): Association {
  const x = group.map(Number);
  return linear("point-biserial", x, y, raw(x), raw(y), options);
}

/**
 * r = 2 (R̄₁ − R̄₀) / n: the share of pairs in which the true group is higher, minus the share in which it is lower
 * (Cureton, Psychometrika 21, 1956; Kerby 2014). p: Mann–Whitney's normal approximation, ties and continuity corrected.
 */
export function rankBiserial(
  group: readonly boolean[],
  y: readonly number[],
  options: AssociationOptions,
): Association {
  const x = group.map(Number);
  const reason = unusable(x, y);
  if (reason !== null) return missing("rank-biserial", x.length, reason);
  const rankOf = ranked(y);
  const statistic = (indices: Int32Array) => rankDifference(x, rankOf(indices), indices);
  const all = identity(x.length);
  const ranks = rankOf(all);
  const r = statistic(all);
  if (r === null) return missing("rank-biserial", x.length, "frozen in all or in none of them");
  return complete(
    "rank-biserial",
    x.length,
    r,
    mannWhitneyP(x, y, ranks),
    statistic,
    options,
    (random, count) => permutationTest(ranks, centredProduct(x), random, count),
  );
}

/**
 * Pearson's r of what is left of x and y after a straight line in z. p by t with df n−3; permutation by Freedman & Lane
 * (J. Bus. Econ. Stat. 1, 1983): the residuals of y are shuffled, then freed of z again.
 */
export function partialCorrelation(
  x: readonly number[],
  y: readonly number[],
  z: readonly number[],
  options: AssociationOptions,
): Association {
  const n = x.length;
  if (n < 4) return missing("partial", n, `${n} rows; a partial correlation needs 4`);
  const reason = unusable(x, y) ?? unusable(z, y);
  if (reason !== null) return missing("partial", n, reason);
  const statistic = (indices: Int32Array) => {
    const zc = centred(pick(z, indices));
    return cosine(residual(centred(pick(x, indices)), zc), residual(centred(pick(y, indices)), zc));
  };
  const r = statistic(identity(n));
  if (r === null) return missing("partial", n, "constant once the global rate is taken out");
  const zc = centred(z);
  const rx = residual(centred(x), zc);
  const ry = residual(centred(y), zc);
  const zz = dot(zc, zc);
  return complete("partial", n, r, correlationP(r, n - 3), statistic, options, (random, count) =>
    permutationTest(
      ry,
      (shuffled) => {
        const slope = zz > 0 ? dot(zc, shuffled) / zz : 0;
        const left = dot(shuffled, shuffled) - slope * slope * zz;
        return left > 0 ? dot(rx, shuffled) / Math.sqrt(left) : 0;
      },
      random,
      count,
    ),
  );
}

/** Two-sided p of a correlation: t = r √(df/(1−r²)). */
export function correlationP(r: number, df: number): number | null {
  if (df < 1) return null;
  return studentTTwoSided(r * Math.sqrt(df / Math.max(0, (1 - r) * (1 + r))), df);
}

/** An association that does not exist, and why. */
export function missing(method: AssociationMethod, n: number, reason: string): Association {
  return { method, n, r: null, permutation: null, asymptoticP: null, q: null, ci: null, reason };
}

type Column = (indices: Int32Array) => Float64Array;
const raw = (values: readonly number[]): Column => {
  return (indices) => pick(values, indices);
};
const ranked = (values: readonly number[]): Column => {
  const { ids, distinct } = distinctIds(values);
  return (indices) => midranksOf(ids, distinct, indices);
};

function linear(
  method: AssociationMethod,
  x: readonly number[],
  y: readonly number[],
  columnX: Column,
  columnY: Column,
  options: AssociationOptions,
): Association {
  const reason = unusable(x, y);
  if (reason !== null) return missing(method, x.length, reason);
  const statistic = (indices: Int32Array) => cosine(centred(columnX(indices)), centred(columnY(indices)));
  const all = identity(x.length);
  const r = statistic(all);
  if (r === null) return missing(method, x.length, "one of the two columns is constant");
  return complete(method, x.length, r, correlationP(r, x.length - 2), statistic, options, (random, count) =>
    permutationTest(centred(columnY(all)), centredProduct(columnX(all)), random, count),
  );
}

function complete(
  method: AssociationMethod,
  n: number,
  r: number,
  asymptoticP: number | null,
  statistic: (indices: Int32Array) => number | null,
  options: AssociationOptions,
  test: (random: Random, count: number) => Association["permutation"],
): Association {
  const { random, permutations = 9999, resamples = 2000, level = 0.95 } = options;
  const permutation = permutations > 0 ? test(random, permutations) : null;
  const ci = resamples > 0 ? bootstrapInterval({ n, statistic, random, resamples, level }) : null;
  const reason = resamples > 0 && ci === null ? "no interval: too many resamples are constant" : null;
  return { method, n, r, permutation, asymptoticP, q: null, ci, reason };
}

function unusable(x: readonly number[], y: readonly number[]): string | null {
  if (x.length !== y.length) throw new RangeError(`columns of ${x.length} and ${y.length} rows`);
  const bad = x.filter((value, i) => !Number.isFinite(value) || !Number.isFinite(y[i]!)).length;
  if (bad > 0) return `${bad} of ${x.length} rows are not finite`;
  if (x.length < 3) return `${x.length} rows; a correlation needs 3`;
  return null;
}

function pick(values: readonly number[], indices: Int32Array): Float64Array {
  const picked = new Float64Array(indices.length);
  for (let k = 0; k < indices.length; k += 1) picked[k] = values[indices[k]!]!;
  return picked;
}

/** Values minus their mean; a column constant up to rounding becomes exactly zero. */
function centred(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  let sum = 0;
  let largest = 0;
  let constant = true;
  for (let i = 0; i < n; i += 1) {
    sum += values[i]!;
    largest = Math.max(largest, Math.abs(values[i]!));
    if (values[i] !== values[0]) constant = false;
  }
  const out = new Float64Array(n);
  if (constant) return out;
  let spread = 0;
  for (let i = 0; i < n; i += 1) {
    out[i] = values[i]! - sum / n;
    spread = Math.max(spread, Math.abs(out[i]!));
  }
  return spread <= 1e-13 * largest ? out.fill(0) : out;
}

/** y with its projection on z taken out; zero where nothing but rounding is left. */
function residual(y: Float64Array, z: Float64Array): Float64Array {
  const zz = dot(z, z);
  if (zz === 0) return y;
  const slope = dot(y, z) / zz;
  const left = y.map((value, i) => value - slope * z[i]!);
  return dot(left, left) <= 1e-20 * dot(y, y) ? left.fill(0) : left;
}

function cosine(x: Float64Array, y: Float64Array): number | null {
  const norm = Math.sqrt(dot(x, x) * dot(y, y));
  return norm > 0 ? Math.max(-1, Math.min(1, dot(x, y) / norm)) : null;
}

function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i += 1) sum += x[i]! * y[i]!;
  return sum;
}

/** Statistic for a permutation test: proportional to r for a fixed pair of margins. */
function centredProduct(x: ArrayLike<number>): (y: Float64Array) => number {
  const xc = centred(x);
  return (y) => dot(xc, y);
}

function rankDifference(x: readonly number[], ranks: Float64Array, indices: Int32Array): number | null {
  let ones = 0;
  let sumOnes = 0;
  const n = indices.length;
  for (let k = 0; k < n; k += 1) {
    if (x[indices[k]!] === 1) {
      ones += 1;
      sumOnes += ranks[k]!;
    }
  }
  if (ones === 0 || ones === n) return null;
  const sumZeros = (n * (n + 1)) / 2 - sumOnes;
  return (2 / n) * (sumOnes / ones - sumZeros / (n - ones));
}

/** Mann & Whitney, Ann. Math. Stat. 18 (1947), with the tie correction of the variance. Null if every y is equal. */
function mannWhitneyP(x: readonly number[], y: readonly number[], ranks: Float64Array): number | null {
  const n = x.length;
  const n1 = x.reduce((sum, value) => sum + value, 0);
  const n0 = n - n1;
  const u = dot(x, ranks) - (n1 * (n1 + 1)) / 2;
  const sd = Math.sqrt(((n1 * n0) / 12) * (n + 1 - tieTerm(y) / (n * (n - 1))));
  if (!(sd > 0)) return null;
  return Math.min(1, 2 * normalSf((Math.abs(u - (n1 * n0) / 2) - 0.5) / sd));
}
