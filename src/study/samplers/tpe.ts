import { toExternal, toInternal } from "../distribution.js";
import { lastStep } from "../pruner.js";
import type { Rng } from "../rng.js";
import type { ProposeContext, Sampler } from "../sampler.js";
import { walk } from "../space.js";
import type { Dimension, Direction, Params, ParamValue, Space, TrialRecord } from "../types.js";
import { axisOf, ParzenEstimator } from "./parzen.js";
import { drawUniform, onGrid } from "./random.js";

export interface TpeSamplerOptions {
  /** Draws uniformly until this many trials have ended with a value. @default 10 */
  readonly nStartupTrials?: number;
  /** Candidates drawn from the good density for each proposal. @default 24 */
  readonly nEiCandidates?: number;
}

/**
 * Tree-structured Parzen estimator, multivariate, with conditional dimensions in groups: what Optuna calls
 * `TPESampler(multivariate=True, group=True)`. The best min(⌈0.1 n⌉, 25) trials make one density, the rest the other, and
 * the candidate with the largest ratio is proposed. Dimensions that always occur together form a group with densities of
 * their own. Pruned trials rank below complete ones, those that got further first. Running trials count as bad, so that
 * proposals made together spread (Optuna's constant_liar).
 */
export class TpeSampler implements Sampler {
  readonly name = "tpe";
  readonly #startup: number;
  readonly #candidates: number;

  constructor({ nStartupTrials = 10, nEiCandidates = 24 }: TpeSamplerOptions = {}) {
    this.#startup = nStartupTrials;
    this.#candidates = nEiCandidates;
  }

  propose(
    space: Space,
    history: readonly TrialRecord[],
    rng: Rng,
    { direction, fixed }: ProposeContext,
  ): Params {
    const ranked = rank(history, direction);
    const running = history.filter((t) => t.state === "RUNNING");
    const proposed = new Map<string, ParamValue>();
    if (ranked.length >= this.#startup) {
      for (const group of groupsOf(space, [...ranked, ...running])) {
        for (const [name, value] of this.#proposeGroup(group, ranked, running, rng))
          proposed.set(name, value);
      }
    }
    return walk(
      space,
      ({ name, distribution }) => fixed[name] ?? proposed.get(name) ?? drawUniform(distribution, rng),
    );
  }

  #proposeGroup(
    group: readonly Dimension[],
    ranked: readonly TrialRecord[],
    running: readonly TrialRecord[],
    rng: Rng,
  ): [string, ParamValue][] {
    const has = (t: TrialRecord) => group.every(({ name }) => name in t.params);
    const point = (t: TrialRecord) =>
      group.map(({ name, distribution }) => toInternal(distribution, t.params[name]!, name));
    const below = Math.min(Math.ceil(0.1 * ranked.length), 25);
    const byAge = (a: TrialRecord, b: TrialRecord) => a.number - b.number;
    const good = ranked.slice(0, below).filter(has).sort(byAge).map(point);
    const bad = [...ranked.slice(below), ...running].filter(has).sort(byAge).map(point);
    const axes = group.map(({ distribution }) => axisOf(distribution));
    const goodDensity = new ParzenEstimator(axes, good);
    const badDensity = new ParzenEstimator(axes, bad);
    let best: number[] | undefined;
    let largest = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < this.#candidates; c++) {
      const candidate = goodDensity.sample(rng).map((x, d) => {
        const { distribution } = group[d]!;
        return distribution.kind === "categorical" ? x : onGrid(distribution, x);
      });
      const ratio = goodDensity.logDensity(candidate) - badDensity.logDensity(candidate);
      if (best === undefined || ratio > largest) [best, largest] = [candidate, ratio];
    }
    return group.map(({ name, distribution }, d) => [name, toExternal(distribution, best![d]!)]);
  }
}

/** Trials that say something about the objective, best first. */
function rank(history: readonly TrialRecord[], direction: Direction): TrialRecord[] {
  const sign = direction === "maximize" ? -1 : 1;
  const scored = history.flatMap((t) => {
    if (t.state === "COMPLETE" && t.value !== null)
      return [{ t, step: Number.POSITIVE_INFINITY, value: sign * t.value }];
    const step = t.state === "PRUNED" ? lastStep(t.intermediateValues) : null;
    if (step === null) return [];
    const value = t.intermediateValues.get(step)!;
    return [{ t, step, value: Number.isNaN(value) ? Number.POSITIVE_INFINITY : sign * value }];
  });
  return scored
    .sort((a, b) => (a.step !== b.step ? b.step - a.step : a.value - b.value || a.t.number - b.t.number))
    .map(({ t }) => t);
}

/** Dimensions split into sets that always occur together in the trials seen; those never seen are in none. */
function groupsOf(space: Space, trials: readonly TrialRecord[]): Dimension[][] {
  const signatures = new Map<string, Dimension[]>();
  for (const dimension of space) {
    const where = trials.flatMap((t) => (dimension.name in t.params ? [t.number] : []));
    if (where.length === 0) continue;
    const key = where.join();
    signatures.set(key, [...(signatures.get(key) ?? []), dimension]);
  }
  return [...signatures.values()];
}
