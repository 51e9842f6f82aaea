/**
 * Parzen estimator over several dimensions: a mixture with one kernel an observation and one for the prior, each kernel a
 * product over the dimensions. Source: Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011, in the
 * multivariate form of Falkner, Klein, Hutter, "BOHB", ICML 2018, with the constants Optuna's TPESampler uses.
 *
 *   n   observations            d   dimensions           [low, high]   range of a numeric dimension, log-scaled if it is
 *   sigma of an observation's kernel  0.2 · n^(-1/(d+4)) · (high - low), at least (high - low)/min(100, n + 1)
 *   the prior's kernel                mean (low + high)/2, sigma high - low
 *   a category's kernel               1 at the observed choice + 1/(n+1) everywhere, normalised
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

export function axisOf(distribution: Distribution): Axis {
  const d = normalized(distribution);
  if (d.kind === "categorical") return { kind: "categorical", choices: d.choices.length };
  const step = d.step ?? (d.kind === "int" ? 1 : 0);
  const log = d.log === true;
  const scale = (x: number) => (log ? Math.log(x) : x);
  return { kind: "numeric", low: scale(d.low - step / 2), high: scale(d.high + step / 2), log, step };
}

export class ParzenEstimator {
  readonly #weights: number[];
  readonly #kernels: readonly number[][]; // observations, then the prior (null means the prior's own parameters)

  /** @param points internal values, shape (n, d): the number itself, or the index of the choice. */
  constructor(
    private readonly axes: readonly Axis[],
    points: readonly (readonly number[])[],
  ) {
    this.#kernels = points.map((p) => p.map((x, d) => this.#scaled(x, d)));
    this.#weights = [...recencyWeights(points.length), 1];
    const total = this.#weights.reduce((a, b) => a + b, 0);
    this.#weights = this.#weights.map((w) => w / total);
  }

  /** One draw, internal values; numeric ones are not yet on the grid. */
  sample(rng: Rng): number[] {
    const kernel = rng.weighted(this.#weights);
    return this.axes.map((axis, d) => {
      if (axis.kind === "categorical") return rng.weighted(this.#choiceWeights(kernel, d, axis.choices));
      const [mean, sigma] = this.#normal(kernel, d, axis);
      for (;;) {
        const x = mean + sigma * rng.normal(); // means lie in the range: at least a third of the draws do too
        if (x >= axis.low && x <= axis.high) return axis.log ? Math.exp(x) : x;
      }
    });
  }

  /** Log density at internal values; of a stepped dimension, log probability of its cell. */
  logDensity(point: readonly number[]): number {
    let largest = Number.NEGATIVE_INFINITY;
    const terms = this.#weights.map((weight, kernel) => {
      let sum = Math.log(weight);
      for (const [d, axis] of this.axes.entries()) {
        sum +=
          axis.kind === "categorical"
            ? Math.log(this.#choiceWeights(kernel, d, axis.choices)[point[d]!]!)
            : this.#logNormal(kernel, d, axis, point[d]!);
      }
      largest = Math.max(largest, sum);
      return sum;
    });
    return largest + Math.log(terms.reduce((total, term) => total + Math.exp(term - largest), 0));
  }

  #scaled(x: number, d: number): number {
    const axis = this.axes[d]!;
    return axis.kind === "numeric" && axis.log ? Math.log(x) : x;
  }

  #normal(kernel: number, d: number, axis: NumericAxis): [mean: number, sigma: number] {
    const width = axis.high - axis.low;
    const n = this.#kernels.length;
    if (kernel === n) return [(axis.low + axis.high) / 2, width];
    const sigma = 0.2 * Math.max(n, 1) ** (-1 / (this.axes.length + 4)) * width;
    const mean = Math.min(axis.high, Math.max(axis.low, this.#kernels[kernel]![d]!));
    return [mean, Math.min(width, Math.max(sigma, width / Math.min(100, n + 1)))];
  }

  #logNormal(kernel: number, d: number, axis: NumericAxis, x: number): number {
    const [mean, sigma] = this.#normal(kernel, d, axis);
    const mass = between((axis.low - mean) / sigma, (axis.high - mean) / sigma);
    if (axis.step > 0) {
      const edge = (y: number) => ((axis.log ? Math.log(y) : y) - mean) / sigma;
      return Math.log(Math.max(1e-300, between(edge(x - axis.step / 2), edge(x + axis.step / 2)) / mass));
    }
    const z = (this.#scaled(x, d) - mean) / sigma;
    return -0.5 * z * z - Math.log(sigma * Math.sqrt(2 * Math.PI) * mass);
  }

  #choiceWeights(kernel: number, d: number, choices: number): number[] {
    const n = this.#kernels.length;
    const base = 1 / (n + 1);
    const weights = new Array<number>(choices).fill(base);
    if (kernel < n) weights[this.#kernels[kernel]![d]!]! += 1;
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => w / total);
  }
}

/** Weight 1 for the newest 25; older ones ramp down to 1/n. */
function recencyWeights(n: number): number[] {
  if (n <= 25) return new Array<number>(n).fill(1);
  const ramp = n - 25;
  return Array.from({ length: n }, (_, i) =>
    i >= ramp ? 1 : 1 / n + ((1 - 1 / n) * i) / Math.max(1, ramp - 1),
  );
}

/** Standard normal mass of [a, b], a ≤ b; computed in the nearer tail, where it keeps its digits. */
function between(a: number, b: number): number {
  return Math.max(1e-300, a > 0 ? upperTail(a) - upperTail(b) : upperTail(-b) - upperTail(-a));
}

/** P(Z > x): a series for |x| < 2, else the continued fraction of the Mills ratio (Abramowitz & Stegun 26.2.10, 26.2.14). */
function upperTail(x: number): number {
  const density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) < 2) {
    let term = x;
    let sum = x;
    for (let k = 1; k < 60 && Math.abs(term) > 1e-17; k++) {
      term *= (-x * x) / (2 * k);
      sum += term / (2 * k + 1);
    }
    return 0.5 - sum / Math.sqrt(2 * Math.PI);
  }
  const positive = Math.abs(x);
  let fraction = positive;
  for (let k = 60; k >= 1; k--) fraction = positive + k / fraction;
  return x > 0 ? density / fraction : 1 - density / fraction;
}
