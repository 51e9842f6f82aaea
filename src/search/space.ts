/**
 * The search space over per-layer learning rates, and what its parameters mean.
 *
 * One global log rate, a log offset for each encoder group made zero-mean over the groups that train (Adam normalises
 * gradient scale, so a layer's rate is confounded with the global one: this form separates them), a rate of its own for
 * the head, and freezing: `freeze_to` freezes a prefix (0: nothing, 1: the embeddings, k + 1: also layers 0 to k - 1), a
 * bit for each layer above it. A frozen group's rate is exactly 0.
 */
import type { Params, Space } from "../study/types.js";

export interface SpaceOptions {
  readonly learningRateRange: readonly [number, number];
  readonly headLearningRateRange: readonly [number, number];
  /** Largest offset, in powers of ten. */
  readonly lrOffset: number;
}

/** @param groups "embeddings", "layer.0", …, "head". */
export function layerSpace(groups: readonly string[], options: SpaceOptions): Space {
  const encoder = groups.slice(0, -1);
  const [low, high] = options.learningRateRange;
  const [headLow, headHigh] = options.headLearningRateRange;
  return [
    { name: "freeze_to", distribution: { kind: "int", low: 0, high: encoder.length } },
    { name: "learning_rate", distribution: { kind: "float", low, high, log: true } },
    { name: "lr.head", distribution: { kind: "float", low: headLow, high: headHigh, log: true } },
    // A layer right above the frozen prefix is frozen by freeze_to, not by its bit: one way to say a thing.
    ...encoder.slice(1).map((group, i) => ({
      name: `freeze.${group}`,
      distribution: { kind: "int" as const, low: 0, high: 1 },
      when: (params: Params) => (params.freeze_to as number) < i + 1,
    })),
    ...encoder.map((group, i) => ({
      name: `lr_offset.${group}`,
      distribution: { kind: "float" as const, low: -options.lrOffset, high: options.lrOffset },
      when: (params: Params) => (params.freeze_to as number) <= i && params[`freeze.${group}`] !== 1,
    })),
  ];
}

/** The uniform baseline: one rate for the whole encoder, and the head's own, as the per-layer search has it. */
export function uniformSpace(options: SpaceOptions): Space {
  const [low, high] = options.learningRateRange;
  const [headLow, headHigh] = options.headLearningRateRange;
  return [
    { name: "learning_rate", distribution: { kind: "float", low, high, log: true } },
    { name: "lr.head", distribution: { kind: "float", low: headLow, high: headHigh, log: true } },
  ];
}

const clip = (x: number, [low, high]: readonly [number, number]) => Math.min(high, Math.max(low, x));

/** Parameters of the uniform space, clipped to the ranges. */
export function encodeUniform(rate: number, head: number, options: SpaceOptions): Params {
  return {
    learning_rate: clip(rate, options.learningRateRange),
    "lr.head": clip(head, options.headLearningRateRange),
  };
}

/** Whether these are parameters of one of the spaces, which all have the two rates. */
export const isProposal = (params: Params): boolean =>
  ["learning_rate", "lr.head"].every((name) => typeof params[name] === "number");

/** Peak rate per group; parameters of either space. rate = learning_rate · 10^(offset - mean offset of the trained groups). */
export function decodeRates(groups: readonly string[], params: Params): Record<string, number> {
  const encoder = groups.slice(0, -1);
  const global = params.learning_rate as number;
  const freezeTo = (params.freeze_to ?? 0) as number;
  const trained = encoder.filter((group, i) => i >= freezeTo && params[`freeze.${group}`] !== 1);
  const offset = (group: string) => (params[`lr_offset.${group}`] ?? 0) as number;
  const mean = trained.reduce((sum, group) => sum + offset(group), 0) / Math.max(1, trained.length);
  const rates = Object.fromEntries(
    encoder.map((group) => [group, trained.includes(group) ? global * 10 ** (offset(group) - mean) : 0]),
  );
  return { ...rates, head: params["lr.head"] as number };
}

/**
 * Parameters of the layer space whose rates are `rates` (up to clipping to the ranges): how warm starts are written.
 * The global rate is the geometric mean of the trained encoder groups.
 */
export function encodeRates(
  groups: readonly string[],
  rates: Readonly<Record<string, number>>,
  options: SpaceOptions,
): Params {
  const encoder = groups.slice(0, -1);
  const logs = encoder.flatMap((group) => (rates[group]! > 0 ? [Math.log10(rates[group]!)] : []));
  const mean = logs.reduce((a, b) => a + b, 0) / Math.max(1, logs.length);
  let freezeTo = 0;
  while (freezeTo < encoder.length && rates[encoder[freezeTo]!] === 0) freezeTo++;
  const params: Record<string, number> = {
    freeze_to: freezeTo,
    // Everything frozen but the head: the global rate is in the space, and changes nothing.
    learning_rate: clip(
      logs.length > 0 ? 10 ** mean : Math.sqrt(options.learningRateRange[0] * options.learningRateRange[1]),
      options.learningRateRange,
    ),
    "lr.head": clip(rates.head!, options.headLearningRateRange),
  };
  for (const [i, group] of encoder.entries()) {
    if (i < freezeTo) continue;
    if (i > freezeTo) params[`freeze.${group}`] = rates[group] === 0 ? 1 : 0;
    if (rates[group]! > 0)
      params[`lr_offset.${group}`] = clip(Math.log10(rates[group]!) - mean, [
        -options.lrOffset,
        options.lrOffset,
      ]);
  }
  return params;
}
