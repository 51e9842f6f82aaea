/** Made-up arms and trials for the tests, from a seed. */
import type { Random } from "../../../src/analysis/random.js";
import type { ArmResult, LayerTrial, SeedResult } from "../../../src/analysis/types.js";

const COST = { seconds: 20, flops: 4e12, trainedParameters: 22_700_000 };
const CHEAP = { seconds: 11, flops: 1.6e12, trainedParameters: 1_800_000 };

export const GROUPS = [
  "embeddings",
  "layer.0",
  "layer.1",
  "layer.2",
  "layer.3",
  "layer.4",
  "layer.5",
  "head",
];

export function rates(frozenBelow: number, rate = 5e-5): Record<string, number> {
  return Object.fromEntries(GROUPS.map((group, i) => [group, i < frozenBelow ? 0 : rate]));
}

export function arm(
  name: string,
  correct: readonly (readonly boolean[])[],
  more: Partial<Omit<ArmResult, "seeds">> & { readonly cheap?: boolean; readonly firstSeed?: number } = {},
): ArmResult {
  const { cheap = false, firstSeed = 0, ...rest } = more;
  const seeds = correct.map((rows, i): SeedResult => {
    const test = rows.filter(Boolean).length / rows.length;
    return { seed: firstSeed + i, validation: test + 0.01, test, correct: rows, cost: cheap ? CHEAP : COST };
  });
  return { name, rates: rates(cheap ? 6 : 0), trials: 40, bestValidation: 0.98, seeds, ...rest };
}

/**
 * Two arms on the same rows with known truth: row i is right with chance from its own difficulty, arms differ by `effect`
 * on average, and each training (arm × seed) shifts its accuracy by a normal of sd `seedSd`.
 */
export function twoArms(
  random: Random,
  { seeds = 5, rows = 300, effect = 0, seedSd = 0.01, hard = 0.2 },
): readonly [winner: boolean[][], baseline: boolean[][]] {
  const difficulty = Array.from({ length: rows }, () => {
    const u = random.uniform();
    return u < 1 - hard ? 0.995 : u < 1 - hard / 2 ? 0.75 : 0.35;
  });
  // Rows on which the two arms truly differ: drawn with the rows, so that sampling rows matters.
  const tilt = difficulty.map(() => effect + 0.6 * hard * (random.uniform() - 0.5));
  const train = (sign: number) =>
    Array.from({ length: seeds }, () => {
      const shift = seedSd * random.normal();
      return difficulty.map((p, i) => random.uniform() < p + (sign * tilt[i]!) / 2 + shift);
    });
  return [train(1), train(-1)];
}

/** `count` trials of one arm with independent rates; `value` gives the objective. */
export function randomTrials(
  random: Random,
  count: number,
  value: (rates: Readonly<Record<string, number>>) => number,
  groups: readonly string[] = GROUPS,
): LayerTrial[] {
  return Array.from({ length: count }, (_, number): LayerTrial => {
    const drawn = Object.fromEntries(
      groups.map((group) => [group, random.uniform() < 0.35 ? 0 : 10 ** (-6 + 4 * random.uniform())]),
    );
    const trained = Object.values(drawn).filter((rate) => rate > 0).length;
    const cost = {
      seconds: 4 + trained,
      flops: (1 + trained) * 1e11,
      trainedParameters: trained * 1_800_000,
    };
    return { number, arm: "random", state: "COMPLETE", value: value(drawn), rates: drawn, cost };
  });
}
