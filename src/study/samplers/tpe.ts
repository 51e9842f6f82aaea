import { isSingle, toExternal, toInternal } from "../distribution.js";
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
  /** Of trials with equal values, those that cost less rank higher. @default the earlier do, as in Optuna */
  readonly costOf?: (trial: TrialRecord) => number;
  /** Complete trials count as equal to the best one when their values are this close to its value, or closer. @default 0 */
  readonly toleranceOf?: (best: number) => number;
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
  readonly #ties: Ties;

  constructor({
    nStartupTrials = 10,
    nEiCandidates = 24,
    costOf = () => 0,
    toleranceOf = () => 0,
  }: TpeSamplerOptions = {}) {
    this.#startup = nStartupTrials;
    this.#candidates = nEiCandidates;
    this.#ties = { costOf, toleranceOf };
  }

  propose(
    space: Space,
    history: readonly TrialRecord[],
    rng: Rng,
    { direction, fixed }: ProposeContext,
  ): Params {
    const ranked = rank(history, direction, this.#ties);
    const proposed = new Map<string, ParamValue>();
    if (ranked.length >= this.#startup) {
      const below = Math.min(Math.ceil(0.1 * ranked.length), 25);
      const good = new Set(ranked.slice(0, below));
      const bad = new Set([...ranked.slice(below), ...history.filter((t) => t.state === "RUNNING")]);
      // Oldest first, as history is: the estimator gives old observations less weight.
      const [goodByAge, badByAge] = [history.filter((t) => good.has(t)), history.filter((t) => bad.has(t))];
      for (const group of groupsOf(space, ranked)) {
        for (const [name, value] of this.#proposeGroup(group, goodByAge, badByAge, rng)) {
          proposed.set(name, value);
        }
      }
    }
    return walk(space, ({ name, distribution }) => {
      if (name in fixed) return fixed[name] as ParamValue;
      return proposed.has(name) ? (proposed.get(name) as ParamValue) : drawUniform(distribution, rng);
    });
  }

  #proposeGroup(
    group: readonly Dimension[],
    good: readonly TrialRecord[],
    bad: readonly TrialRecord[],
    rng: Rng,
  ): [string, ParamValue][] {
    const points = (trials: readonly TrialRecord[]) =>
      trials
        .filter((t) => group.every(({ name }) => name in t.params))
        .map((t) => group.map(({ name, distribution }) => toInternal(distribution, t.params[name]!, name)));
    const axes = group.map(({ distribution }) => axisOf(distribution));
    const goodDensity = new ParzenEstimator(axes, points(good));
    const badDensity = new ParzenEstimator(axes, points(bad));
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

type Ties = Required<Pick<TpeSamplerOptions, "costOf" | "toleranceOf">>;

/**
 * Trials that ended with something to learn from, best first: COMPLETE by value, then PRUNED, those that got further first,
 * those that reported nothing last. Ties, with the best within its tolerance, by cost, then by value, then the earlier.
 */
function rank(
  history: readonly TrialRecord[],
  direction: Direction,
  { costOf, toleranceOf }: Ties,
): TrialRecord[] {
  const sign = direction === "maximize" ? -1 : 1;
  const scored = history.flatMap((t) => {
    if (t.state === "COMPLETE" && t.value !== null) {
      return [{ t, step: Number.POSITIVE_INFINITY, value: sign * t.value }];
    }
    if (t.state !== "PRUNED") return [];
    const step = lastStep(t.intermediateValues);
    if (step === null) return [{ t, step: -1, value: 0 }];
    const value = t.intermediateValues.get(step)!;
    return [{ t, step, value: Number.isNaN(value) ? Number.POSITIVE_INFINITY : sign * value }];
  });
  const isComplete = ({ step }: { step: number }) => step === Number.POSITIVE_INFINITY;
  const best = Math.min(...scored.filter(isComplete).map(({ value }) => value));
  const tied = Number.isFinite(best) ? best + toleranceOf(sign * best) : best;
  const shown = (s: (typeof scored)[number]) => (isComplete(s) && s.value <= tied ? best : s.value);
  const compare = (a: number, b: number) => (a === b ? 0 : a < b ? -1 : 1); // infinities too; the sort is stable
  return scored
    .sort(
      (a, b) =>
        compare(b.step, a.step) ||
        compare(shown(a), shown(b)) ||
        compare(costOf(a.t), costOf(b.t)) ||
        compare(a.value, b.value),
    )
    .map(({ t }) => t);
}

/**
 * Dimensions split into sets that always occur together in the trials seen. One never seen is a set of its own: its
 * densities are the prior. Those with a single value are in none.
 */
function groupsOf(space: Space, trials: readonly TrialRecord[]): Dimension[][] {
  const groups = new Map<string, Dimension[]>();
  for (const dimension of space) {
    if (isSingle(dimension.distribution)) continue;
    const seenIn = trials.flatMap((t, i) => (dimension.name in t.params ? [i] : []));
    const key = seenIn.length === 0 ? dimension.name : seenIn.join();
    groups.set(key, [...(groups.get(key) ?? []), dimension]);
  }
  return [...groups.values()];
}
