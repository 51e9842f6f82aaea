/**
 * Tails and quantiles of the normal, Student's t and binomial distributions.
 *
 * Each tail is computed as a tail, never as one minus the other side, so p = 1e-200 keeps its digits. Definitions as in
 * Abramowitz & Stegun ch. 26; checked against SciPy to 1e-10 relative (tests/golden/generate_statistics.py).
 * NaN in, NaN out.
 */
import { incompleteBeta, incompleteGamma } from "./special.js";

/** P(Z > z) = ½ Q(½, z²/2) for z ≥ 0 (A&S 26.2.30). */
export function normalSf(z: number): number {
  if (Number.isNaN(z)) return Number.NaN;
  const { lower, upper } = incompleteGamma(0.5, (z * z) / 2);
  return z >= 0 ? upper / 2 : (1 + lower) / 2;
}

/** P(Z ≤ z). */
export function normalCdf(z: number): number {
  return normalSf(-z);
}

/** z with P(Z ≤ z) = p. ±Infinity at 0 and 1, NaN outside [0, 1]. Newton on the logarithm of the tail. */
export function normalQuantile(p: number): number {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p === 0) return Number.NEGATIVE_INFINITY;
  // sf(z) ≤ ½ exp(−z²/2) puts the start right of the root; ln sf is concave, so every step stays on that side.
  let z = Math.sqrt(-2 * Math.log(2 * p));
  const target = Math.log(p);
  for (let i = 0; i < 100; i += 1) {
    const sf = normalSf(z);
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    const step = ((Math.log(sf) - target) * sf) / density;
    z += step;
    if (Math.abs(step) <= 4e-16 * Math.abs(z)) break;
  }
  return -z;
}

/** P(T > t), df > 0: ½ I_x(df/2, ½) with x = df/(df + t²) for t ≥ 0 (A&S 26.7.1). */
export function studentTSf(t: number, df: number): number {
  if (Number.isNaN(t) || !(df > 0)) return Number.NaN;
  if (t === Number.POSITIVE_INFINITY) return 0;
  if (t === Number.NEGATIVE_INFINITY) return 1;
  if (df === Number.POSITIVE_INFINITY) return normalSf(t);
  const u = (t * t) / df;
  // x = 1/(1+u), y = u/(1+u): both exact to a rounding, also for tiny and huge t.
  const { lower, upper } = incompleteBeta(1 / (1 + u), u / (1 + u), df / 2, 0.5);
  return t >= 0 ? lower / 2 : (1 + upper) / 2;
}

/** P(|T| > |t|). */
export function studentTTwoSided(t: number, df: number): number {
  return 2 * studentTSf(Math.abs(t), df);
}

/** t with P(T > t) = p, for 0 < p < 1: bracketing, then bisection to the last bit. Not for inner loops. */
export function studentTUpperQuantile(p: number, df: number): number {
  if (!(p > 0 && p < 1)) return Number.NaN;
  if (p > 0.5) return -studentTUpperQuantile(1 - p, df);
  if (p === 0.5) return 0;
  let low = 0;
  let high = 1;
  while (studentTSf(high, df) > p) {
    low = high;
    high *= 2;
  }
  for (let i = 0; i < 200; i += 1) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (studentTSf(middle, df) > p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(X ≤ k), X ~ Binomial(n, p): I_{1−p}(n−k, k+1) (A&S 26.5.24). */
export function binomialCdf(k: number, n: number, p: number): number {
  const floor = Math.floor(k);
  if (floor < 0) return 0;
  if (floor >= n) return 1;
  return incompleteBeta(1 - p, p, n - floor, floor + 1).lower;
}

/** Two-sided exact test of a fair coin: P of a split at least as uneven as `k` of `n`. 1 for n = 0. */
export function fairCoinP(k: number, n: number): number {
  return Math.min(1, 2 * binomialCdf(Math.min(k, n - k), n, 0.5));
}
