/**
 * Parzen estimator over several dimensions: a mixture with one kernel an observation and one for the prior, each kernel a
 * product over the dimensions. Source: Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011, with the
 * product kernels of Falkner, Klein, Hutter, "BOHB", ICML 2018, and the bandwidths of Optuna 5's TPESampler.
 *
 *   n   observations       d   dimensions       [low, high]   range of a numeric dimension, on its log scale if it has one
 *   an observation's kernel   normal at the observation, cut to the range; sigma is the larger gap to its neighbours (at the
 *                             ends: the one gap), within [(high − low)/min(100, n + 2), high − low]
 *   the prior's kernel        normal at (low + high)/2 with sigma high − low, cut to the range
 *   a category's kernel       1 at the observed choice + 1/(n + 1) everywhere, normalised; the prior's is flat
 */
import { normalized } from "../distribution.js";
import type { Rng } from "../rng.js";
import type { Distribution } from "../types.js";

/** A numeric dimension on the scale where kernels live: logarithms if log, half a step beyond the ends if stepped. */
interface NumericAxis {
  readonly kind: "numeric";
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
  /** 0: continuous. */
  readonly step: number;
}
interface CategoricalAxis {
  readonly kind: "categorical";
  readonly choices: number;
}
export type Axis = NumericAxis | CategoricalAxis;

/** @param distribution more than one value, else the range has no width. */
export function axisOf(distribution: Distribution): Axis {
  const d = normalized(distribution);
  if (d.kind === "categorical") return { kind: "categorical", choices: d.choices.length };
  const step = d.step ?? (d.kind === "int" ? 1 : 0);
  const log = d.log === true;
  const scale = (x: number) => (log ? Math.log(x) : x);
  return { kind: "numeric", low: scale(d.low - step / 2), high: scale(d.high + step / 2), log, step };
}

/** One dimension of all kernels; the prior's is the last. */
interface Marginal {
  sample(kernel: number, rng: Rng): number;
  /** Adds each kernel's log density at x (of a stepped or categorical dimension: log probability) to `sums`. */
  addLogDensity(x: number, sums: Float64Array): void;
}

export class ParzenEstimator {
  readonly #weights: Float64Array;
  readonly #marginals: readonly Marginal[];

  /** @param points internal values, shape (n, d), oldest first: the number itself, or the index of the choice. */
  constructor(axes: readonly Axis[], points: readonly (readonly number[])[]) {
    const weights = [...recencyWeights(points.length), 1];
    const total = weights.reduce((a, b) => a + b, 0);
    this.#weights = Float64Array.from(weights, (w) => w / total);
    this.#marginals = axes.map((axis, d) => {
      const column = points.map((point) => point[d]!);
      return axis.kind === "categorical" ? categorical(column, axis) : numeric(column, axis);
    });
  }

  /** One draw, internal values; numeric ones are not yet on the grid. */
  sample(rng: Rng): number[] {
    const kernel = rng.weighted(this.#weights);
    return this.#marginals.map((marginal) => marginal.sample(kernel, rng));
  }

  /** Log density at internal values. */
  logDensity(point: readonly number[]): number {
    const sums = this.#weights.map((w) => Math.log(w));
    for (const [d, marginal] of this.#marginals.entries()) marginal.addLogDensity(point[d]!, sums);
    const largest = sums.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    return largest + Math.log(sums.reduce((total, sum) => total + Math.exp(sum - largest), 0));
  }
}

function numeric(column: readonly number[], axis: NumericAxis): Marginal {
  const { low, high, log, step } = axis;
  const scaled = (x: number) => (log ? Math.log(x) : x);
  // A value of an earlier, wider range counts as the end it lies beyond.
  const observed = column.map((x) => Math.min(high, Math.max(low, scaled(x))));
  const means = Float64Array.of(...observed, (low + high) / 2);
  const sigmas = Float64Array.of(...bandwidths(observed, axis), high - low);
  const logMass = means.map((mean, k) =>
    Math.log(between((low - mean) / sigmas[k]!, (high - mean) / sigmas[k]!)),
  );
  return {
    sample(kernel, rng) {
      for (;;) {
        const x = means[kernel]! + sigmas[kernel]! * rng.normal(); // a third of the draws fall inside, or more
        if (x >= low && x <= high) return log ? Math.exp(x) : x;
      }
    },
    addLogDensity(x, sums) {
      const [at, left, right] = [scaled(x), scaled(x - step / 2), scaled(x + step / 2)];
      for (let k = 0; k < sums.length; k += 1) {
        const [mean, sigma] = [means[k]!, sigmas[k]!];
        const z = (at - mean) / sigma;
        const kernel =
          step > 0
            ? Math.log(between((left - mean) / sigma, (right - mean) / sigma))
            : -0.5 * z * z - Math.log(sigma * Math.sqrt(2 * Math.PI));
        sums[k]! += kernel - logMass[k]!;
      }
    },
  };
}

/** Sigma of each observation's kernel. @param observed on the axis' scale, in any order. */
function bandwidths(observed: readonly number[], { low, high }: Pick<NumericAxis, "low" | "high">): number[] {
  const n = observed.length;
  const order = observed.map((_, i) => i).sort((a, b) => observed[a]! - observed[b]! || a - b);
  const least = (high - low) / Math.min(100, n + 2);
  const sigmas = new Array<number>(n);
  for (const [rank, i] of order.entries()) {
    const gap = (from: number, to: number) =>
      (observed[order[to]!] ?? high) - (observed[order[from]!] ?? low);
    const [before, after] = [gap(rank - 1, rank), gap(rank, rank + 1)];
    // The distance to the end of the range says nothing about the neighbours: it counts only when there are none.
    const sigma =
      n === 1
        ? Math.max(before, after)
        : rank === 0
          ? after
          : rank === n - 1
            ? before
            : Math.max(before, after);
    sigmas[i] = Math.min(high - low, Math.max(least, sigma));
  }
  return sigmas;
}

function categorical(column: readonly number[], { choices }: CategoricalAxis): Marginal {
  const base = 1 / (column.length + 1);
  const total = 1 + choices * base;
  const probability = (kernel: number, choice: number) =>
    kernel === column.length ? 1 / choices : (base + (column[kernel] === choice ? 1 : 0)) / total;
  return {
    sample: (kernel, rng) =>
      rng.weighted(Array.from({ length: choices }, (_, choice) => probability(kernel, choice))),
    addLogDensity(x, sums) {
      for (let k = 0; k < sums.length; k += 1) sums[k]! += Math.log(probability(k, x));
    },
  };
}

/** Weight 1 for the newest 25; older ones ramp from 1/n up to 1. */
function recencyWeights(n: number): number[] {
  const ramp = n - 25;
  return Array.from({ length: n }, (_, i) =>
    i >= ramp ? 1 : 1 / n + ((1 - 1 / n) * i) / Math.max(1, ramp - 1),
  );
}

/**
 * Standard normal mass of [a, b], a ≤ b; computed in the nearer tail, where it keeps its digits. Never 0: where it
 * underflows, the prior's kernel outweighs this one by hundreds of orders of magnitude anyway.
 */
export function between(a: number, b: number): number {
  return Math.max(1e-300, a > 0 ? upperTail(a) - upperTail(b) : upperTail(-b) - upperTail(-a));
}

/** P(Z > x): a series for |x| < 2, else the continued fraction of the Mills ratio (Abramowitz & Stegun 26.2.10, 26.2.14). */
function upperTail(x: number): number {
  const density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  const size = Math.abs(x);
  if (size < 2) {
    let term = x;
    let sum = x;
    for (let k = 1; k < 60 && Math.abs(term) > 1e-17; k++) {
      term *= (-x * x) / (2 * k);
      sum += term / (2 * k + 1);
    }
    return 0.5 - sum / Math.sqrt(2 * Math.PI);
  }
  if (density === 0) return x > 0 ? 0 : 1;
  let fraction = size;
  for (let k = size > 6 ? 16 : 60; k >= 1; k--) fraction = size + k / fraction;
  return x > 0 ? density / fraction : 1 - density / fraction;
}
