/**
 * Groups in order of evidence, by agreement of methods, and where the methods disagree. Ranks go by p, not by |r|: of three
 * trials |r| is near 1 whatever is true, and would put the layers first that were trained least.
 */
import type { Association, GroupFinding, LayerFindings, RankedGroup, RankingMethod } from "./findings.js";
import { inNetworkOrder } from "./groups.js";
import { midranks, tieTerm } from "./ranks.js";
import { groupList, plural } from "./words.js";

/** The tests that carry the claim "this group matters", and so the only ones with a q. */
export const METHODS: Readonly<Record<RankingMethod, (group: GroupFinding) => Association>> = {
  "frozen or not": (group) => group.random.frozen.rankBiserial,
  "rate given global": (group) => group.random.rate.partial,
};
export const METHOD_NAMES = Object.keys(METHODS) as RankingMethod[];

export function rankGroups(
  groups: readonly GroupFinding[],
  alpha: number,
): Pick<LayerFindings, "ranking" | "agreement" | "summary"> {
  const ranksBy = new Map(METHOD_NAMES.map((method) => [method, ranksOf(groups, METHODS[method])]));
  const ranking = groups.map((group, i): RankedGroup => {
    const ranks = Object.fromEntries(
      METHOD_NAMES.map((m) => [m, ranksBy.get(m)![i]!]),
    ) as RankedGroup["ranks"];
    const given = METHOD_NAMES.flatMap((m) => (ranks[m] === null ? [] : [{ method: m, rank: ranks[m]! }]));
    const qs = METHOD_NAMES.flatMap((m) => METHODS[m](group).q ?? []);
    const passing = METHOD_NAMES.filter((m) => (METHODS[m](group).q ?? 1) < alpha);
    return {
      group: group.group,
      ranks,
      meanRank: given.length > 0 ? given.reduce((sum, { rank }) => sum + rank, 0) / given.length : null,
      q: qs.length > 0 ? Math.min(...qs) : null,
      significant: passing.length > 0,
      reading: readingOf(group, passing),
      disagreement: disagreementOf(given, groups.length),
    };
  });
  const place = ({ significant, meanRank }: RankedGroup) =>
    (meanRank ?? groups.length + 1) - (significant ? groups.length + 1 : 0);
  ranking.sort((a, b) => place(a) - place(b));
  return { ranking, agreement: agreementOf(ranksBy, groups.length), summary: summaryOf(ranking, alpha) };
}

/** Rank 1 for the least p, of equal ones the largest |r|; null where there is none, or none to compare with. */
function ranksOf(
  groups: readonly GroupFinding[],
  read: (group: GroupFinding) => Association,
): (number | null)[] {
  const tests = groups.map(read);
  const tested = tests.filter(({ permutation }) => permutation !== null);
  if (tested.length < 2) return groups.map(() => null);
  const order = [...tested].sort(byEvidence);
  const places = tested.map((test) => order.findIndex((other) => byEvidence(test, other) === 0));
  const ranks = midranks(places);
  return tests.map((test) => (test.permutation === null ? null : ranks[tested.indexOf(test)]!));
}

const byEvidence = (a: Association, b: Association) =>
  a.permutation!.p - b.permutation!.p || Math.abs(b.r!) - Math.abs(a.r!);

/** W over the groups that all methods with any rank do rank. */
function agreementOf(
  ranksBy: ReadonlyMap<RankingMethod, readonly (number | null)[]>,
  count: number,
): number | null {
  const columns = [...ranksBy.values()].filter((ranks) => ranks.some((rank) => rank !== null));
  const shared = Array.from({ length: count }, (_, i) => i).filter((i) =>
    columns.every((c) => c[i] !== null),
  );
  return kendallW(columns.map((column) => shared.map((i) => column[i]!)));
}

/**
 * Kendall & Babington Smith, Ann. Math. Stat. 10 (1939), ties corrected: W = 12 S / (m²(k³−k) − m Σ(t³−t)) for m rankings
 * of k things, S the squared spread of the rank sums. Null for fewer than two rankings or three things.
 */
export function kendallW(rankings: readonly (readonly number[])[]): number | null {
  const m = rankings.length;
  const k = rankings[0]?.length ?? 0;
  if (m < 2 || k < 3) return null;
  const ranked = rankings.map((ranking) => midranks(ranking));
  const totals = Array.from({ length: k }, (_, j) => ranked.reduce((sum, ranks) => sum + ranks[j]!, 0));
  const mean = (m * (k + 1)) / 2;
  const spread = totals.reduce((sum, total) => sum + (total - mean) ** 2, 0);
  const ties = ranked.reduce((sum, ranks) => sum + tieTerm(ranks), 0);
  const most = m * m * (k ** 3 - k) - m * ties;
  return most > 0 ? (12 * spread) / most : null;
}

function readingOf(group: GroupFinding, passing: readonly RankingMethod[]): string {
  const parts: string[] = [];
  if (passing.includes("frozen or not"))
    parts.push(group.random.frozen.rankBiserial.r! > 0 ? "better frozen" : "better trained");
  if (passing.includes("rate given global"))
    parts.push(`better with a ${group.random.rate.partial.r! > 0 ? "higher" : "lower"} rate`);
  return parts.join(", ") || "not shown";
}

function disagreementOf(
  given: readonly { method: RankingMethod; rank: number }[],
  groups: number,
): string | null {
  if (given.length < 2) return null;
  const sorted = [...given].sort((a, b) => a.rank - b.rank);
  const first = sorted[0]!;
  const last = sorted.at(-1)!;
  if (last.rank - first.rank <= groups / 2) return null;
  return `rank ${first.rank} by “${first.method}”, ${last.rank} by “${last.method}”`;
}

function summaryOf(ranking: readonly RankedGroup[], alpha: number): string {
  const tested = ranking.filter((group) => group.q !== null);
  if (tested.length === 0)
    return "No group could be tested: the random arm has too few trials, or froze nothing and varied nothing.";
  const passing = tested.filter((group) => group.significant);
  const limit = `q < ${String(alpha).replace(/^0/, "")}`;
  if (passing.length === 0)
    return `No layer is shown to matter: none of ${plural(tested.length, "group")} passes ${limit}, so read the order below as noise.`;
  const readings = passing.map((group) => `${group.group} (${group.reading})`).join("; ");
  const rest = tested.filter((group) => !group.significant).map((group) => group.group);
  const others = rest.length > 0 ? ` Nothing is shown for ${groupList(inNetworkOrder(rest))}.` : "";
  return `${passing.length} of ${plural(tested.length, "group")} ${passing.length === 1 ? "passes" : "pass"} ${limit}: ${readings}.${others}`;
}
