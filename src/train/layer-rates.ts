import { closest } from "../data/closest.js";
import { ConfigError, type Issue } from "../errors.js";

/** Peak learning rate of each group, in the core's group order: embeddings, layer.0 …, head. Exactly 0 is frozen. */
export type LayerRates = Readonly<Record<string, number>>;

export interface RateOptions {
  readonly learningRate: number;
  readonly learningRatePerLayer: Readonly<Record<string, number>>;
  readonly layerLrDecay: number;
  readonly freeze: readonly string[];
}

/**
 * Rates from the options, weakest first: learning_rate with layer_lr_decay, then learning_rate_per_layer, then freeze.
 *
 * Layer-wise decay d over L layers: the head has learning_rate, layer i has learning_rate · d^(L-i) (the top layer d¹),
 * the embeddings learning_rate · d^(L+1).
 *
 * @param groups names in order; first the embeddings, last the head.
 * @throws ConfigError naming unknown groups, or when nothing is left to train.
 */
export function layerRates(groups: readonly string[], options: RateOptions): LayerRates {
  const named = {
    learning_rate_per_layer: Object.keys(options.learningRatePerLayer),
    freeze: options.freeze,
  };
  const issues: Issue[] = Object.entries(named).flatMap(([option, names]) =>
    names
      .filter((name) => !groups.includes(name))
      .map((name) => {
        const near = closest(name, groups);
        return {
          path: `${option}.${name}`,
          expected: `a group: ${groups[0]}, ${groups[1]} to ${groups.at(-2)}, ${groups.at(-1)}`,
          received: `"${name}"`,
          ...(near ? { hint: `did you mean ${near}?` } : {}),
        };
      }),
  );
  if (issues.length > 0) throw new ConfigError("ERR_GROUP", "unknown groups", issues);
  const rates = decayedRates(groups, options.learningRate, options.layerLrDecay);
  Object.assign(rates, options.learningRatePerLayer);
  for (const name of options.freeze) rates[name] = 0;
  if (Object.values(rates).every((rate) => rate === 0)) {
    throw new ConfigError("ERR_NOTHING_TO_TRAIN", "nothing to train", [
      {
        path: "learning_rate_per_layer",
        expected: "at least one group with a rate above 0",
        received: "every group frozen, the head too",
      },
    ]);
  }
  return rates;
}

/** Layer-wise learning-rate decay alone; the formula is at `layerRates`. */
export function decayedRates(groups: readonly string[], rate: number, decay: number): Record<string, number> {
  const top = groups.length - 1;
  return Object.fromEntries(groups.map((name, i) => [name, rate * decay ** (top - i)]));
}
