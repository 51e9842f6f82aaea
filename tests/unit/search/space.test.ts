import { describe, expect, test } from "vitest";
import {
  decodeRates,
  encodeRates,
  encodeUniform,
  layerSpace,
  uniformSpace,
} from "../../../src/search/space.js";
import { warmStarts } from "../../../src/search/warm-starts.js";
import { Rng } from "../../../src/study/rng.js";
import { RandomSampler } from "../../../src/study/samplers/random.js";
import { validateSpace } from "../../../src/study/space.js";
import { decayedRates, layerRates } from "../../../src/train/layer-rates.js";
import { spaceContains } from "../study/space-contains.js";

const groups = ["embeddings", "layer.0", "layer.1", "layer.2", "head"];
const options = {
  learningRateRange: [1e-6, 1e-3],
  headLearningRateRange: [1e-5, 1e-2],
  lrOffset: 1,
} as const;
const space = layerSpace(groups, options);

test("the spaces are valid, and random draws decode to rates", () => {
  validateSpace(space);
  validateSpace(uniformSpace(options));
  for (let i = 0; i < 200; i++) {
    const params = new RandomSampler().propose(space, [], new Rng(3, i), {
      direction: "maximize",
      fixed: {},
    });
    const rates = decodeRates(groups, params);
    expect(Object.keys(rates)).toEqual(groups);
    const freezeTo = params.freeze_to as number;
    for (const [g, group] of groups.slice(0, -1).entries()) if (g < freezeTo) expect(rates[group]).toBe(0);
    const trained = groups.slice(0, -1).filter((group) => rates[group]! > 0);
    const mean = trained.reduce((sum, group) => sum + Math.log10(rates[group]!), 0) / trained.length;
    if (trained.length > 0) expect(mean).toBeCloseTo(Math.log10(params.learning_rate as number), 9);
  }
});

test("offsets are zero-mean over the groups that train", () => {
  const rates = decodeRates(groups, {
    freeze_to: 2,
    learning_rate: 1e-4,
    "lr.head": 1e-3,
    "freeze.layer.1": 0,
    "freeze.layer.2": 0,
    "lr_offset.layer.1": 1,
    "lr_offset.layer.2": 0,
  });
  expect(rates).toMatchObject({ embeddings: 0, "layer.0": 0, head: 1e-3 });
  expect(rates["layer.1"]).toBeCloseTo(1e-4 * 10 ** 0.5, 12);
  expect(rates["layer.2"]).toBeCloseTo(1e-4 * 10 ** -0.5, 12);
});

test("a start of the baseline is within the ranges", () => {
  expect(encodeUniform(5e-5, 1e-3, options)).toEqual({ learning_rate: 5e-5, "lr.head": 1e-3 });
  const narrow = {
    ...options,
    learningRateRange: [1e-6, 1e-5],
    headLearningRateRange: [2e-3, 1e-2],
  } as const;
  expect(encodeUniform(5e-5, 1e-3, narrow)).toEqual({ learning_rate: 1e-5, "lr.head": 2e-3 });
});

describe("warm starts", () => {
  test.each(warmStarts(groups).map((w) => [w.name, w.rates] as const))(
    "%s is in the space and decodes to itself",
    (_, rates) => {
      const params = encodeRates(groups, rates, options);
      expect(spaceContains(space, params)).toBe(true);
      const decoded = decodeRates(groups, params);
      for (const group of groups) expect(decoded[group]).toBeCloseTo(rates[group]!, 12);
    },
  );

  test("are the ones a careful user tries first", () => {
    expect(warmStarts(groups).map((w) => w.name)).toEqual([
      "uniform 5e-5",
      "layer-wise decay 0.9",
      "last 2",
      "last 1",
      "head only",
    ]);
    const short = warmStarts(["embeddings", "layer.0", "layer.1", "head"]).map((w) => w.name);
    expect(short.slice(2)).toEqual(["last 1", "head only"]);
    expect(warmStarts(groups)[2]!.rates).toEqual({
      embeddings: 0,
      "layer.0": 0,
      "layer.1": 5e-5,
      "layer.2": 5e-5,
      head: 1e-3,
    });
  });
});

describe("layer rates", () => {
  const none = { learningRatePerLayer: {}, layerLrDecay: 1, freeze: [] };

  test("decay: head rate·d⁰, top layer d¹, layer 0 d^L, embeddings d^(L+1)", () => {
    const rates = decayedRates(groups, 1, 0.5);
    expect(rates).toEqual({
      embeddings: 1 / 16,
      "layer.0": 1 / 8,
      "layer.1": 1 / 4,
      "layer.2": 1 / 2,
      head: 1,
    });
  });

  test("named rates win over decay, freeze over both", () => {
    const rates = layerRates(groups, {
      ...none,
      learningRate: 1e-4,
      layerLrDecay: 0.5,
      learningRatePerLayer: { head: 1e-3, "layer.0": 1e-5 },
      freeze: ["layer.0"],
    });
    expect(rates).toMatchObject({ head: 1e-3, "layer.0": 0, "layer.2": 5e-5 });
  });

  test("unknown groups and nothing to train are refused", () => {
    expect(() => layerRates(groups, { ...none, learningRate: 1e-4, freeze: ["layer.9"] })).toThrowError(
      /layer\.9/,
    );
    expect(() => layerRates(groups, { ...none, learningRate: 0 })).toThrowError(
      expect.objectContaining({ code: "ERR_NOTHING_TO_TRAIN" }),
    );
  });
});
