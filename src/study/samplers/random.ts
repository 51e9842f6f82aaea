import { firstValue, isSingle, normalized } from "../distribution.js";
import type { Rng } from "../rng.js";
import type { ProposeContext, Sampler } from "../sampler.js";
import { walk } from "../space.js";
import type { Distribution, Params, ParamValue, Space, TrialRecord } from "../types.js";

/** Independent uniform draws, on the log scale where a dimension says so; blind to history. */
export class RandomSampler implements Sampler {
  readonly name = "random";

  propose(space: Space, _history: readonly TrialRecord[], rng: Rng, { fixed }: ProposeContext): Params {
    return walk(space, ({ name, distribution }) =>
      name in fixed ? (fixed[name] as ParamValue) : drawUniform(distribution, rng),
    );
  }
}

/** One uniform draw (`valueAt`). */
export const drawUniform = (distribution: Distribution, rng: Rng) => valueAt(distribution, rng.uniform());

/**
 * The value below which a share `u` of the uniform distribution lies. Every choice and every grid point of a stepped or
 * integer dimension has an equal part of [0, 1): the interval behind it reaches half a step beyond both ends. On a log scale
 * that holds for the logarithm, as in Optuna.
 *
 * @param u 0 ≤ u < 1.
 */
export function valueAt(distribution: Distribution, u: number): ParamValue {
  const d = normalized(distribution);
  if (isSingle(d)) return firstValue(d);
  if (d.kind === "categorical") return d.choices[Math.floor(u * d.choices.length)] as ParamValue;
  const step = d.kind === "int" ? (d.step ?? 1) : (d.step ?? 0);
  const between = (from: number, to: number) => from + (to - from) * u;
  const [from, to] = [d.low - step / 2, d.high + step / 2];
  return onGrid(d, d.log ? Math.exp(between(Math.log(from), Math.log(to))) : between(from, to));
}

/** The nearest value of the grid, within the range. */
export function onGrid(d: Exclude<Distribution, { kind: "categorical" }>, x: number): number {
  const step = d.step ?? (d.kind === "int" ? 1 : undefined);
  if (step === undefined) return Math.min(d.high, Math.max(d.low, x));
  const value = d.low + Math.round((x - d.low) / step) * step;
  const clipped = Math.min(d.high, Math.max(d.low, value));
  // 0.1 + 2 × 0.1 is 0.30000000000000004: 15 digits give the number a person would write.
  return d.kind === "int" ? clipped : Number(clipped.toPrecision(15));
}
