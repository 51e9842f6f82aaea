/**
 * Which layers matter? Two questions per group, kept apart: frozen or not, and how fast where it is trained.
 *
 * Inference comes from the random arm only: trials of an optimiser depend on the values before them, so a correlation over
 * them is no evidence (tests/unit/analysis/simulation.test.ts shows how far off it is). Theirs is computed without p or
 * interval and marked descriptive. Warm starts belong to neither.
 *
 * Values are turned so that larger is better; a positive r means "goes with a better objective".
 */

import { atOnce, type Pieces } from "../event-loop.js";
import type { Arm, Direction } from "../study/types.js";
import {
  type AssociationOptions,
  missing,
  partialCorrelation,
  pearson,
  pointBiserial,
  rankBiserial,
  spearman,
} from "./correlation.js";
import type { ArmCount, Association, GroupAssociations, GroupFinding, LayerFindings } from "./findings.js";
import { inNetworkOrder } from "./groups.js";
import { groupedQ } from "./multiplicity.js";
import { notTested } from "./not-tested.js";
import { isUsable, oriented } from "./pareto.js";
import { powerStatement } from "./power.js";
import { Random } from "./random.js";
import { METHOD_NAMES, METHODS, rankGroups } from "./ranking.js";
import type { LayerTrial } from "./types.js";

/** What the trials rest on; only used to say what was not tested. */
export interface LayerContext {
  /** @default 1 */
  readonly datasets?: number;
  /** Splits or folds a trial's value is a mean over. @default 1 */
  readonly splits?: number;
  /** Seeds a trial's value is a mean over. @default 1 */
  readonly seedsPerTrial?: number;
}

export interface AnalyseOptions {
  readonly seed: number;
  /** @default "maximize" */
  readonly direction?: Direction;
  /** @default 0.05 */
  readonly alpha?: number;
  /** @default 0.95 */
  readonly level?: number;
  /** @default 9999 */
  readonly permutations?: number;
  /** @default 2000 */
  readonly resamples?: number;
  readonly context?: LayerContext;
}

const ARMS: readonly Arm[] = ["warm-start", "random", "optimized"];

export const analyseLayers = (...asked: Parameters<typeof analyseInPieces>): LayerFindings =>
  atOnce(analyseInPieces(...asked));

/** `analyseLayers`, which takes seconds where there are a hundred random trials. */
export function* analyseInPieces(
  trials: readonly LayerTrial[],
  options: AnalyseOptions,
): Pieces<LayerFindings> {
  const { seed, direction = "maximize", alpha = 0.05, level = 0.95 } = options;
  const { permutations = 9999, resamples = 2000, context = {} } = options;
  const names = inNetworkOrder(trials.flatMap((trial) => Object.keys(trial.rates)));
  const random = trials.filter((trial) => trial.arm === "random").filter(isUsable);
  const optimized = trials.filter((trial) => trial.arm === "optimized").filter(isUsable);

  const inference = { direction, level, permutations, resamples };
  const description = { direction, level, permutations: 0, resamples: 0 };
  const found: GroupFinding[] = [];
  for (const group of names) {
    const stream = (test: string) => new Random(seed, `${group}/${test}`);
    const ofRandom = yield* associate(random, group, { ...inference, stream });
    const ofOptimized = yield* associate(optimized, group, { ...description, stream });
    found.push({ group, random: ofRandom, optimized: { ...withoutP(ofOptimized), descriptive: true } });
  }
  const groups = withQ(found);
  const arms = ARMS.map((arm) => countArm(trials, arm));
  const power = powerStatement(random.length, groups, alpha);
  return {
    direction,
    alpha,
    level,
    arms,
    groups,
    power,
    ...rankGroups(groups, alpha),
    notTested: notTested({ groups, arms, power, random, context }),
  };
}

function countArm(trials: readonly LayerTrial[], arm: Arm): ArmCount {
  const ended = trials.filter((t) => t.arm === arm && t.state !== "RUNNING" && t.state !== "WAITING");
  const used = ended.filter(isUsable).length;
  return { arm, trials: ended.length, used, excluded: ended.length - used };
}

type UsableTrial = LayerTrial & { readonly value: number };
type Settings = Omit<AssociationOptions, "random"> & {
  readonly direction: Direction;
  readonly stream: (test: string) => Random;
};

function* associate(
  trials: readonly UsableTrial[],
  group: string,
  settings: Settings,
): Pieces<GroupAssociations> {
  const { direction, stream } = settings;
  const have = trials.filter((trial) => trial.rates[group] !== undefined);
  const values = have.map((trial) => oriented(trial.value, direction));
  const isFrozen = have.map((trial) => trial.rates[group] === 0);
  const frozenTrials = isFrozen.filter(Boolean).length;

  const trained = have.filter((trial) => trial.rates[group]! > 0);
  const trainedValues = trained.map((trial) => oriented(trial.value, direction));
  const logRates = trained.map((trial) => Math.log10(trial.rates[group]!));

  const withGlobal = trained.filter((trial) => globalLogRate(trial, group) !== null);
  const one = frozenTrials === 0 ? "never frozen" : "always frozen";
  const mixed = frozenTrials > 0 && frozenTrials < have.length;
  const frozenTest = (test: typeof pointBiserial, method: "point-biserial" | "rank-biserial") =>
    mixed
      ? test(isFrozen, values, { ...settings, random: stream(method) })
      : missing(method, have.length, have.length === 0 ? "no trials" : one);
  const ofPointBiserial = frozenTest(pointBiserial, "point-biserial");
  yield;
  const ofRankBiserial = frozenTest(rankBiserial, "rank-biserial");
  yield;
  const ofPearson = pearson(logRates, trainedValues, { ...settings, random: stream("pearson") });
  yield;
  const ofSpearman = spearman(logRates, trainedValues, { ...settings, random: stream("spearman") });
  yield;
  const partial = partialCorrelation(
    withGlobal.map((trial) => Math.log10(trial.rates[group]!)),
    withGlobal.map((trial) => oriented(trial.value, direction)),
    withGlobal.map((trial) => globalLogRate(trial, group)!),
    { ...settings, random: stream("partial") },
  );
  yield;
  return {
    frozen: {
      trials: have.length,
      frozenTrials,
      pointBiserial: ofPointBiserial,
      rankBiserial: ofRankBiserial,
    },
    rate: { pearson: ofPearson, spearman: ofSpearman, partial },
  };
}

/** The trial's own global log10 rate; failing that the mean over its *other* trained groups (a part of itself would leak). */
function globalLogRate(trial: LayerTrial, group: string): number | null {
  if (trial.globalRate !== undefined) return trial.globalRate > 0 ? Math.log10(trial.globalRate) : null;
  const others = Object.entries(trial.rates).filter(([name, rate]) => name !== group && rate > 0);
  if (others.length === 0) return null;
  return others.reduce((sum, [, rate]) => sum + Math.log10(rate), 0) / others.length;
}

/** p of a group by each method of the ranking; null where there was nothing to test. */
const testsOf = (group: GroupFinding) =>
  METHOD_NAMES.map((method) => METHODS[method](group).permutation?.p ?? null);

/** One family: every group with every method of the ranking. */
function withQ(groups: readonly GroupFinding[]): GroupFinding[] {
  const found = groupedQ(groups.map(testsOf));
  return groups.map((group, i) => {
    const { frozen, rate } = group.random;
    const q = Object.fromEntries(METHOD_NAMES.map((method, k) => [method, found[i]![k]!]));
    return {
      ...group,
      random: {
        frozen: { ...frozen, rankBiserial: { ...frozen.rankBiserial, q: q["frozen or not"]! } },
        rate: {
          ...rate,
          partial: { ...rate.partial, q: q["rate given global"]! },
        },
      },
    };
  });
}

function withoutP(found: GroupAssociations): GroupAssociations {
  const bare = (a: Association): Association => ({ ...a, asymptoticP: null });
  return {
    frozen: {
      ...found.frozen,
      pointBiserial: bare(found.frozen.pointBiserial),
      rankBiserial: bare(found.frozen.rankBiserial),
    },
    rate: {
      pearson: bare(found.rate.pearson),
      spearman: bare(found.rate.spearman),
      partial: bare(found.rate.partial),
    },
  };
}
