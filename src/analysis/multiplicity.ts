/** Corrections for asking several questions. Input p in any order; the answers come back in the same order. */

/**
 * Several tests each of several groups, and the claim is about groups: q of every test, so that "q < α" holds of the very
 * tests that may be read out. Two stages, after Benjamini & Bogomolov, J. R. Stat. Soc. B 76 (2014):
 *
 *   1. a group's p is its smallest times its number of tests (Bonferroni: right however the tests go together), and
 *      Benjamini–Hochberg over the G groups selects R of them: at most α of the selected groups are false on average;
 *   2. within a selected group a test is read out if its p times their number is at most α R / G, the level the group
 *      itself had to meet: so every selected group has such a test, and no other group has one.
 *
 * One BH per kind of test and "any of them" would give each kind the whole α: with three, up to three times the errors.
 *
 * With one test a group this is Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995).
 *
 * @param groups p of each group's tests; null for one that could not be made. Groups without any are not counted.
 * @returns q_gt = min over k of max(p_(k), tests · p_gt) G / k, in the same places (p_(k): the groups' p, sorted).
 */
export function groupedQ(groups: readonly (readonly (number | null)[])[]): (number | null)[][] {
  const adjusted = groups.map((tests) => {
    const made = tests.filter((p) => p !== null).length;
    return tests.map((p) => (p === null ? null : Math.min(1, p * made)));
  });
  const groupP = adjusted
    .map((tests) => tests.filter((p) => p !== null))
    .filter((made) => made.length > 0)
    .map((made) => Math.min(...made));
  const sorted = ascending(groupP).map((i) => groupP[i]!);
  const qOf = (p: number) =>
    sorted.reduce((least, pk, i) => Math.min(least, (Math.max(pk, p) * sorted.length) / (i + 1)), 1);
  return adjusted.map((tests) => tests.map((p) => (p === null ? null : qOf(p))));
}

/** Holm, Scand. J. Stat. 6 (1979): adjusted p_(i) = max over j ≤ i of min(1, p_(j) (m − j + 1)). */
export function holm(p: readonly number[]): number[] {
  const m = p.length;
  const order = ascending(p);
  const adjusted = new Array<number>(m);
  let most = 0;
  order.forEach((index, k) => {
    most = Math.max(most, Math.min(1, p[index]! * (m - k)));
    adjusted[index] = most;
  });
  return adjusted;
}

function ascending(p: readonly number[]): number[] {
  if (p.some((value) => !(value >= 0 && value <= 1))) throw new RangeError("p: expected numbers in [0, 1]");
  return p.map((_, i) => i).sort((a, b) => p[a]! - p[b]!);
}
