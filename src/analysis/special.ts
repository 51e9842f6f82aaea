/**
 * Regularised incomplete beta and gamma functions, accurate in the far tails.
 *
 * Prefactors such as x^a (1−x)^b / B(a, b) are built from Stirling's error term and the deviance, after
 * C. Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000): differences of log-gammas would lose
 * one digit for every ten-fold of a. The rest is the continued fraction of DLMF 8.17.22 and of 8.9.2 by Lentz's method.
 *
 *   delta(a)      Stirling's error: Γ(a+1) = √(2πa) (a/e)^a exp(delta(a))
 *   deviance(a,m) a ln(a/m) + m − a  ≥ 0
 */

const TINY = 1e-300;
const EPSILON = 1e-16;
/** The fractions need about √max(a, b) terms; 1e5 covers a sample of 10^9. */
const MAX_TERMS = 100_000;

export function stirlingError(a: number): number {
  // delta(a) − delta(a+1) = (a + ½) ln(1 + 1/a) − 1 lifts a to 10, where seven terms of the series leave 1e-17.
  let lifted = 0;
  let x = a;
  for (; x < 10; x += 1) lifted += (x + 0.5) * Math.log1p(1 / x) - 1;
  const s = 1 / (x * x);
  const series =
    (1 / 12 -
      s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - s * (691 / 360360 - s / 156)))))) /
    x;
  return lifted + series;
}

export function deviance(a: number, m: number): number {
  if (Math.abs(a - m) >= 0.1 * (a + m)) return a * Math.log(a / m) + m - a;
  // Near a = m the terms cancel: Loader's series in v = (a − m)/(a + m).
  const v = (a - m) / (a + m);
  let sum = (a - m) * v;
  let term = 2 * a * v;
  for (let j = 3; ; j += 2) {
    term *= v * v;
    const next = sum + term / j;
    if (next === sum) return sum;
    sum = next;
  }
}

/** x^a y^b / B(a, b), with y = 1 − x given by the caller who knows it exactly. */
function betaPrefactor(x: number, y: number, a: number, b: number): number {
  const n = a + b;
  const exponent =
    stirlingError(n) - stirlingError(a) - stirlingError(b) - deviance(a, n * x) - deviance(b, n * y);
  return Math.sqrt((a * b) / (2 * Math.PI * n)) * Math.exp(exponent);
}

/** Value of b0 + a1/(b1 + a2/(b2 + …)) with b0 = 0 taken out: returns a1/(b1 + …) for terms(1), terms(2), … */
function lentz(term: (i: number) => readonly [a: number, b: number]): number {
  let f = TINY;
  let c = TINY;
  let d = 0;
  for (let i = 1; i < MAX_TERMS; i += 1) {
    const [a, b] = term(i);
    d = b + a * d || TINY;
    c = b + a / c || TINY;
    d = 1 / d;
    const step = c * d;
    f *= step;
    if (Math.abs(step - 1) < EPSILON) return f;
  }
  return f;
}

/** I_x(a, b) by the fraction that converges for x < (a+1)/(a+b+2) (DLMF 8.17.22). */
function betaFraction(x: number, y: number, a: number, b: number): number {
  const fraction = lentz((i) => {
    if (i === 1) return [1, 1];
    const k = i - 1;
    const m = k >> 1;
    const d =
      k % 2 === 0
        ? (m * (b - m) * x) / ((a + k - 1) * (a + k))
        : (-(a + m) * (a + b + m) * x) / ((a + k - 1) * (a + k));
    return [d, 1];
  });
  return (betaPrefactor(x, y, a, b) * fraction) / a;
}

/** Both tails of the regularised incomplete beta: `lower` = I_x(a, b), `upper` = I_y(b, a), y = 1 − x. a, b > 0. */
export function incompleteBeta(x: number, y: number, a: number, b: number): { lower: number; upper: number } {
  if (x <= 0) return { lower: 0, upper: 1 };
  if (y <= 0) return { lower: 1, upper: 0 };
  if (x < (a + 1) / (a + b + 2)) {
    const lower = betaFraction(x, y, a, b);
    return { lower, upper: 1 - lower };
  }
  const upper = betaFraction(y, x, b, a);
  return { lower: 1 - upper, upper };
}

/** Both tails of the regularised incomplete gamma: `lower` = P(a, x), `upper` = Q(a, x). a > 0, x ≥ 0. */
export function incompleteGamma(a: number, x: number): { lower: number; upper: number } {
  if (x <= 0) return { lower: 0, upper: 1 };
  if (x === Number.POSITIVE_INFINITY) return { lower: 1, upper: 0 };
  // x^a e^−x / Γ(a+1)
  const prefactor = Math.exp(-stirlingError(a) - deviance(a, x)) / Math.sqrt(2 * Math.PI * a);
  if (x < a + 1) {
    let term = 1;
    let sum = 1;
    for (let k = 1; term > sum * EPSILON; k += 1) {
      term *= x / (a + k);
      sum += term;
    }
    const lower = prefactor * sum;
    return { lower, upper: 1 - lower };
  }
  const fraction = lentz((i) => (i === 1 ? [1, x + 1 - a] : [-(i - 1) * (i - 1 - a), x + 2 * i - 1 - a]));
  const upper = prefactor * a * fraction;
  return { lower: 1 - upper, upper };
}
