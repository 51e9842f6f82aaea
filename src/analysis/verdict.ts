/**
 * The comparison in words.
 *
 * Rule. "Better" needs the interval of the paired difference wholly above zero and the exact test over rows below
 * its alpha: with a handful of discordant rows a bootstrap alone is too sure. "Worse" mirrors it; all else is "no
 * difference shown". Three seeds at least: of two that spread by 4 points or more, a tenth of equal arms came out different. An arm
 * that diverged under a seed where the other did not is not the better one, whatever its other seeds say.
 * Equality is a claim of its own: "no worse" is said only if the loss not excluded is below the margin (one point unless
 * set), the rule of a non-inferiority trial. That loss is the interval's lower end, and never less than 3/rows: what was
 * seen in no row may still be that frequent (rule of three, Hanley & Lippman-Hand, JAMA 1983).
 */
import type { Comparison, Verdict, VerdictWord } from "./findings.js";
import { fixed, groupList, percent, plural, points, probability } from "./words.js";

/** Φ⁻¹(.8): four times in five. */
const POWER_Z = 0.8416212335729143;
/** The same accuracy for less is called a result when something costs a fifth less. */
const WORTH_SAYING = 0.8;
const ENOUGH_SEEDS = 3;

type Facts = Omit<Comparison, "verdict">;

export function verdictOf(facts: Facts, margin: number): Verdict {
  const { low, high } = facts.difference.ci;
  const enough = facts.seeds.length >= ENOUGH_SEEDS;
  const sure = enough && facts.rowTest.adjustedP < facts.rowTest.alpha;
  const { winner, baseline } = facts;
  const word: VerdictWord =
    sure && low > 0 && survives(winner, baseline)
      ? "better"
      : sure && high < 0 && survives(baseline, winner)
        ? "worse"
        : "no difference shown";
  const withinMargin = enough && lossNotExcluded(facts) < margin;
  const detectable = smallestSeen(facts);
  const sentence = mainSentence(facts, word, detectable);
  const cost = costSentence(facts, word, withinMargin, margin);
  const caveats = caveatsOf(facts, word);
  const text = [sentence, ...(cost === null ? [] : [cost]), ...caveats].join(" ");
  return { word, sentence, cost, caveats, text, margin, withinMargin, detectable };
}

/** Whether it diverged under no seed that the other survived. */
const survives = (arm: Facts["winner"], other: Facts["winner"]) =>
  arm.diverged.every((seed) => other.diverged.includes(seed));

function lossNotExcluded({ difference, rows }: Facts): number {
  return Math.max(-difference.ci.low, 3 / rows);
}

/** Difference whose interval excludes zero with 80 % chance: its half width + 0.84 standard errors; 3/rows at least. */
function smallestSeen({ difference, rows, seeds }: Facts): number | null {
  if (seeds.length < ENOUGH_SEEDS) return null;
  const half = (difference.ci.high - difference.ci.low) / 2;
  return Math.max(half + POWER_Z * difference.standardError, 3 / rows);
}

function mainSentence(facts: Facts, word: VerdictWord, detectable: number | null): string {
  const { winner, baseline, difference } = facts;
  const amount = `${points(Math.abs(difference.mean)).replace("+", "")} points of test accuracy`;
  const evidence = intervalWords(facts);
  if (word === "better") return `Better: ${winner.name} beats ${baseline.name} by ${amount} (${evidence}).`;
  if (word === "worse")
    return `Worse: ${winner.name} loses ${amount} against ${baseline.name} (${evidence}).`;
  const shown = `No gain over ${baseline.name} shown: the difference is ${points(difference.mean)} points (${evidence}).`;
  return detectable === null
    ? shown
    : `${shown} The smallest difference these seeds and rows would have shown four times in five is ` +
        `${percent(detectable)} points.`;
}

function intervalWords({ difference, seeds, rows }: Facts): string {
  const { low, high, level } = difference.ci;
  const coverage = fixed(level * 100, Number.isInteger(Math.round(level * 1e6) / 1e4) ? 0 : 1);
  return `${coverage} % interval ${points(low)} to ${points(high)}; ${plural(seeds.length, "seed")} × ${plural(rows, "row")}`;
}

/** What accuracy costs, where it is not shown to be worse and something got cheaper. */
function costSentence(facts: Facts, word: VerdictWord, withinMargin: boolean, margin: number): string | null {
  const { winner, costRatio } = facts;
  const cheaper = savings(facts);
  if (cheaper.length === 0) {
    const slower = (costRatio.flops ?? 1) > 1.01 || (timeRatio(facts) ?? 1) > 1.05;
    return slower && word !== "worse" ? `It is not cheaper: ${priceWords(facts)}.` : null;
  }
  const frozen = winner.frozenGroups.length;
  const groups = frozen + winner.trainedGroups.length;
  const how =
    frozen > 0
      ? ` with ${groupList(winner.frozenGroups)} frozen (${frozen} of ${plural(groups, "group")})`
      : "";
  const price = `Against ${facts.baseline.name} it needs ${listWords(cheaper)}${how}`;
  if (word === "better") return `${price}.`;
  if (word === "worse") return `${price}, at that loss.`;
  if (facts.seeds.length < ENOUGH_SEEDS) return `${price}.`;
  const lost = fixed(lossNotExcluded(facts) * 100, 1);
  // Where the interval ends above it, the reader is told where the number comes from.
  const why =
    lossNotExcluded(facts) > -facts.difference.ci.low
      ? ` (3 of ${facts.rows} rows: what none shows may still be)`
      : "";
  const limit = percent(margin);
  if (!withinMargin)
    return `${price}, but a loss of up to ${lost} points${why} is not excluded (they are called equal below ${limit}).`;
  if (Math.min(costRatio.trainedParameters ?? 1, costRatio.flops ?? 1, timeRatio(facts) ?? 1) > WORTH_SAYING)
    return `${price}; a loss of more than ${lost} points${why} is excluded.`;
  const what = frozen * 2 > groups ? "Most layers frozen at no loss" : "The same accuracy for less";
  return `${price}. ${what} is a result too: a loss of more than ${lost} points${why} is excluded (they are called equal below ${limit}).`;
}

function savings(facts: Facts): string[] {
  const { costRatio } = facts;
  const time = timeRatio(facts);
  const below = (value: number | null, limit: number): value is number => value !== null && value < limit;
  const list: string[] = [];
  if (below(costRatio.trainedParameters, 0.99))
    list.push(`${share(costRatio.trainedParameters)} of the trained parameters`);
  if (below(costRatio.flops, 0.99)) list.push(`${share(costRatio.flops)} of the training FLOPs`);
  // Wall time is noisy: five per cent is nothing.
  if (below(time, 0.95)) list.push(`${share(time)} of the time`);
  return list;
}

/** Null where the winner is frozen from the bottom on: the search kept these layers' outputs, and the retraining only read them. */
const timeRatio = ({ costRatio, winner }: Facts) =>
  winner.frozenGroups.includes("embeddings") ? null : costRatio.seconds;

function priceWords(facts: Facts): string {
  const { costRatio, baseline } = facts;
  const time = timeRatio(facts);
  const parts: string[] = [];
  if (costRatio.flops !== null) parts.push(`${fixed(costRatio.flops, 2)}× the training FLOPs`);
  if (time !== null) parts.push(`${fixed(time, 2)}× the time`);
  return `${listWords(parts)} of ${baseline.name}`;
}

function caveatsOf(facts: Facts, word: VerdictWord): string[] {
  const { seeds, unpairedSeeds, winner, baseline, difference, rowTest } = facts;
  const caveats: string[] = [];
  if (seeds.length === 1)
    caveats.push(
      "One seed cannot show what another would give: the interval covers the choice of test rows only.",
    );
  else if (seeds.length < ENOUGH_SEEDS)
    caveats.push("Two seeds are too few to tell two configurations apart: three at least are asked for.");
  else if (
    word === "no difference shown" &&
    (difference.ci.low > 0 || difference.ci.high < 0) &&
    rowTest.adjustedP >= rowTest.alpha
  )
    caveats.push(
      `The interval excludes zero, but the exact test over rows does not (p = ${probability(rowTest.adjustedP)}): ` +
        `only ${plural(rowTest.winnerRows + rowTest.baselineRows, "row")} differ.`,
    );
  if (seeds.every((pair) => pair.winnerOnly + pair.baselineOnly === 0))
    caveats.push("Both were right on exactly the same rows under every seed.");
  for (const { name, diverged } of [winner, baseline])
    if (diverged.length > 0)
      caveats.push(
        `${name} diverged under seed ${diverged.join(", ")}: no score there, and those of its other seeds look better for it.`,
      );
  if (unpairedSeeds.length > 0)
    caveats.push(
      `Not used, since only one of the two was trained on them: seed ${unpairedSeeds.join(", ")}.`,
    );
  if (winner.trials !== baseline.trials)
    caveats.push(
      `The budgets differ: ${plural(winner.trials, "trial")} for ${winner.name}, ${winner.trials > baseline.trials ? "only " : ""}${baseline.trials} for ${baseline.name}.`,
    );
  return caveats;
}

/** 0.123 → "12 %", 0.004 → "0.4 %". */
function share(value: number): string {
  const percentage = value * 100;
  return `${fixed(percentage, percentage < 9.5 ? 1 : 0)} %`;
}

function listWords(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
