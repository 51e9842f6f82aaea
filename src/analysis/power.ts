/** What a number of trials can show. */
import { normalSf, studentTUpperQuantile } from "./distributions.js";
import type { PowerStatement } from "./findings.js";
import { correlation, plural } from "./words.js";

/** |r| that is significant at two-sided `alpha` with n independent pairs: t / √(n − 2 + t²). Null for n < 3. */
export function criticalCorrelation(n: number, alpha = 0.05): number | null {
  if (n < 3) return null;
  const t = studentTUpperQuantile(alpha / 2, n - 2);
  return t / Math.sqrt(n - 2 + t * t);
}

/** @param methods tests of a group, where the groups differ the most. */
export function powerStatement(n: number, groups: number, methods = 1, alpha = 0.05): PowerStatement {
  const criticalR = criticalCorrelation(n, alpha);
  const criticalRCorrected = criticalCorrelation(n, alpha / Math.max(1, groups * methods));
  const over = [plural(groups, "group"), ...(methods > 1 ? [plural(methods, "method")] : [])].join(" and ");
  const sentence =
    criticalR === null
      ? `${n} random trials: too few for any correlation.`
      : groups === 0
        ? `${n} random trials: no layer varied in them, so none is tested.`
        : `With ${n} random trials |r| must exceed ${correlation(criticalR)} at p < ${correlation(alpha)}, and ` +
          `${correlation(criticalRCorrected)} after correction over ${over}; weaker layers cannot be told from chance.`;
  return { n, groups, methods, alpha, criticalR, criticalRCorrected, sentence };
}

/**
 * Mean of the largest of k standard normals: how many standard errors the best of k equal configurations looks better
 * than it is. E = ∫ z k φ(z) Φ(z)^(k−1) dz by Simpson's rule over ±9.
 */
export function expectedMaximum(k: number): number {
  if (k <= 1) return 0;
  const steps = 2000;
  const width = 18 / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i += 1) {
    const z = -9 + i * width;
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    sum += weight * z * k * density * Math.exp((k - 1) * Math.log1p(-normalSf(z)));
  }
  return (sum * width) / 3;
}

/** Standard error of an accuracy p on n rows: √(p(1−p)/n). */
export function accuracyStandardError(p: number, n: number): number {
  return Math.sqrt(Math.max(0, p * (1 - p)) / n);
}
