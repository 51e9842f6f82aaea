/** What the findings cannot say, as sentences. An honest report has this list, and it is never empty. */
import type { ArmCount, GroupFinding, PowerStatement } from "./findings.js";
import type { LayerContext } from "./layers.js";
import type { LayerTrial } from "./types.js";
import { correlation, groupList, plural } from "./words.js";

/** Two groups frozen together this often (|phi|) cannot be told apart. */
const ENTANGLED = 0.7;
/** Fewer trained trials than this say next to nothing about a rate (|r| must exceed .67). */
const FEW = 10;

interface Known {
  readonly groups: readonly GroupFinding[];
  readonly arms: readonly ArmCount[];
  readonly power: PowerStatement;
  readonly random: readonly LayerTrial[];
  readonly context: LayerContext;
}

export function notTested({ groups, arms, power, random, context }: Known): string[] {
  const list: string[] = [];
  const named = (test: (g: GroupFinding) => boolean) => groupList(groups.filter(test).map((g) => g.group));
  const never = named(({ random: { frozen } }) => frozen.trials > 0 && frozen.frozenTrials === 0);
  const always = named(
    ({ random: { frozen } }) => frozen.trials > 0 && frozen.frozenTrials === frozen.trials,
  );
  const few = named(({ random: { frozen } }) => {
    const trained = frozen.trials - frozen.frozenTrials;
    return trained > 0 && trained < FEW;
  });
  const randomArm = arms.find((arm) => arm.arm === "random");

  if (random.length === 0) list.push("No random trials: nothing here is evidence about layers.");
  else list.push(power.sentence);
  if (never) list.push(`Frozen or not: ${never} was never frozen in the random arm.`);
  if (always) list.push(`Rate: ${always} was always frozen in the random arm.`);
  if (few) list.push(`Rate: ${few} was trained in fewer than ${FEW} random trials.`);
  if (randomArm && randomArm.excluded > 0)
    list.push(
      `${plural(randomArm.excluded, "random trial")} of ${randomArm.trials} ended without a value and ${randomArm.excluded === 1 ? "is" : "are"} left out. ` +
        "Trials that fail do so for a reason (often a rate too high): the rest is not a random sample any more.",
    );
  list.push(...entangled(groups, random));
  list.push(
    "Effects that rise and fall again (a best rate in the middle) and layers that only matter together: correlations see neither.",
  );
  list.push(
    "Interventions (freeze one layer, train one, roll one back, re-initialise one) were not run: these are associations, not causes.",
  );
  list.push(...generality(context));
  return list;
}

/** Pairs of groups mostly frozen together, as a freeze depth makes them: an effect of one shows up at the other. */
function entangled(groups: readonly GroupFinding[], random: readonly LayerTrial[]): string[] {
  const pairs: { names: readonly [string, string]; phi: number }[] = [];
  for (let i = 0; i < groups.length; i += 1) {
    for (let j = i + 1; j < groups.length; j += 1) {
      const names = [groups[i]!.group, groups[j]!.group] as const;
      const value = phi(random, ...names);
      if (value !== null && Math.abs(value) >= ENTANGLED) pairs.push({ names, phi: value });
    }
  }
  if (pairs.length === 0) return [];
  pairs.sort((a, b) => Math.abs(b.phi) - Math.abs(a.phi));
  const shown = pairs
    .slice(0, 4)
    .map(({ names, phi: value }) => `${names.join(" and ")} (φ = ${correlation(value)})`);
  const more = pairs.length > shown.length ? ` and ${plural(pairs.length - shown.length, "more pair")}` : "";
  return [`Which of two groups frozen together matters: ${shown.join(", ")}${more} cannot be told apart.`];
}

/** φ = Pearson's r of the two freeze bits; null where one of them never changes. */
function phi(trials: readonly LayerTrial[], a: string, b: string): number | null {
  let [both, onlyA, onlyB, neither] = [0, 0, 0, 0];
  for (const { rates } of trials) {
    if (rates[a] === undefined || rates[b] === undefined) continue;
    if (rates[a] === 0 && rates[b] === 0) both += 1;
    else if (rates[a] === 0) onlyA += 1;
    else if (rates[b] === 0) onlyB += 1;
    else neither += 1;
  }
  const margins = (both + onlyA) * (onlyB + neither) * (both + onlyB) * (onlyA + neither);
  return margins > 0 ? (both * neither - onlyA * onlyB) / Math.sqrt(margins) : null;
}

function generality({ datasets = 1, splits = 1, seedsPerTrial = 1 }: LayerContext): string[] {
  const single: string[] = [];
  if (datasets === 1) single.push("one dataset");
  if (splits === 1) single.push("one split");
  if (seedsPerTrial === 1) single.push("one seed a trial");
  if (single.length === 0) return [];
  return [
    `Other data: all of this is ${single.join(", ")}. Another task, split or model may rank the layers otherwise.`,
  ];
}
