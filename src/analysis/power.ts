/** What a number of trials can show. */
import { normalQuantile, normalSf, studentTUpperQuantile } from "./distributions.js";
import type { GroupFinding, PowerStatement, RankingMethod, TestPower } from "./findings.js";
import { inNetworkOrder } from "./groups.js";
import { METHOD_NAMES, METHODS } from "./ranking.js";
import { correlation, groupList, plural } from "./words.js";

/** |r| that is significant at two-sided `alpha` with n independent pairs: t / √(n − 2 + t²). Null for n < 3. */
export function criticalCorrelation(n: number, alpha = 0.05): number | null {
  if (n < 3) return null;
  const t = studentTUpperQuantile(alpha / 2, n - 2);
  return t / Math.sqrt(n - 2 + t * t);
}

/**
 * |rank-biserial r| that is significant at two-sided `alpha`: z √((n + 1) / (3 n₁ n₀)), from the variance of Mann & Whitney's U
 * (Ann. Math. Stat. 18, 1947). Null where it is above 1, or no split of so few trials has such a p.
 */
export function criticalRankBiserial(n1: number, n0: number, alpha = 0.05): number | null {
  const n = n1 + n0;
  let splits = 1; // n over n1
  for (let k = 1; k <= Math.min(n1, n0) && splits * alpha <= 2; k += 1) splits *= (n - k + 1) / k;
  const r = -normalQuantile(alpha / 2) * Math.sqrt((n + 1) / (3 * n1 * n0));
  return r > 1 || 2 / splits >= alpha ? null : r;
}

/** @param n trials of the random arm. */
export function powerStatement(n: number, groups: readonly GroupFinding[], alpha = 0.05): PowerStatement {
  const made = METHOD_NAMES.flatMap((method) =>
    groups.filter((group) => METHODS[method](group).permutation).map((group) => ({ method, group })),
  );
  const tests = made.map(({ method, group }): TestPower => {
    const critical = (at: number) => criticalOf(method, group, at);
    return {
      ...{ group: group.group, method, n: METHODS[method](group).n },
      criticalR: critical(alpha),
      criticalRCorrected: critical(alpha / made.length),
    };
  });
  return { n, alpha, tests, sentence: sentenceOf(n, tests, alpha) };
}

function criticalOf(method: RankingMethod, { random }: GroupFinding, alpha: number): number | null {
  const { trials, frozenTrials } = random.frozen;
  if (method === "frozen or not") return criticalRankBiserial(frozenTrials, trials - frozenTrials, alpha);
  const { n } = random.rate.partial;
  let orders = 1; // n!
  for (let k = 2; k <= n && orders * alpha <= 1; k += 1) orders *= k;
  if (1 / orders >= alpha) return null;
  return criticalCorrelation(n - 1, alpha); // the global rate takes a degree of freedom
}

function sentenceOf(n: number, tests: readonly TestPower[], alpha: number): string {
  const trials = plural(n, "random trial");
  if (tests.length === 0)
    return n < 4
      ? `${trials}: too few for any test.`
      : `${trials}: no layer varied in them, so none is tested.`;
  const shown = tests.filter(({ criticalR }) => criticalR !== null);
  const of = (method: RankingMethod) => shown.filter((test) => test.method === method);
  const needs = (list: readonly TestPower[]) => range(list, ({ criticalR }) => criticalR!, correlation);
  const [frozen, rate] = [of("frozen or not"), of("rate given global")];
  const parts = [
    ...(frozen.length > 0 ? [`${needs(frozen)} for freezing`] : []),
    ...(rate.length > 0
      ? [`${needs(rate)} for a rate (${range(rate, (test) => test.n, String)} trials)`]
      : []),
  ];
  const corrected = tests.flatMap(({ criticalRCorrected }) => criticalRCorrected ?? []);
  const made = plural(tests.length, "test");
  if (corrected.length === 0)
    return `${trials}: too few to show anything. After correction over ${made} no correlation would be enough.`;
  const hopeless = inNetworkOrder(tests.map(({ group }) => group)).filter(
    (group) => !shown.some((test) => test.group === group),
  );
  const rest = hopeless.length > 0 ? ` ${trials}: too few to show anything of ${groupList(hopeless)}.` : "";
  return (
    `With ${trials} |r| must exceed ${parts.join(" and ")} at p < ${correlation(alpha)}; after correction over ` +
    `${made} ${correlation(Math.min(...corrected))} at the least. Weaker layers cannot be told from chance.${rest}`
  );
}

/** ".31 to .58", ".31" where they are the same. */
function range<T>(list: readonly T[], value: (item: T) => number, words: (value: number) => string): string {
  const values = list.map(value);
  const [low, high] = [words(Math.min(...values)), words(Math.max(...values))];
  return low === high ? low : `${low} to ${high}`;
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
