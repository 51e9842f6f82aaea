/**
 * What the bit-for-bit tests share: two problems, a lane, and the hashes of what a run over a problem left behind.
 * Dropout is on everywhere.
 *
 * Two shapes: the tiny fixture, and a wider random model whose matrices span several blocks of the fast kernels.
 */
import { expect } from "vitest";
import type {
  LaneSpec,
  ModelHandle,
  ModelSpec,
  SessionHandle,
  SessionOptions,
  StepResults,
  TensorMap,
} from "../../src/native/contract.js";
import {
  bits,
  bitsOf,
  cacheOff,
  chunk,
  datasetSpec,
  laneSpec,
  modelSpec,
  native,
  randomDataset,
  randomWeights,
  readAll,
} from "../golden/native.js";
import { type PackedBatch, readTiny, weightsOf } from "../golden/read.js";

const tinyFixture = readTiny();
const dropout = { hiddenDropout: 0.1, attentionDropout: 0.15, classifierDropout: 0.2 };
const cacheBytes = 1 << 24;

export interface Problem {
  readonly spec: ModelSpec;
  readonly weights: TensorMap;
  readonly data: PackedBatch;
  readonly steps: readonly (readonly number[])[];
}

export const tiny: Problem = {
  spec: modelSpec(tinyFixture.meta.config, { ...dropout, cacheBytes }),
  weights: weightsOf(tinyFixture.tensors, "cls"),
  data: tinyFixture.meta.batches.training!,
  steps: Array.from({ length: 8 }, (_, s) => [0, 1, 2, 3, 4].map((i) => (5 * s + 7 * i) % 24)),
};

const wideSpec: ModelSpec = {
  ...tiny.spec,
  vocabSize: 501,
  hiddenSize: 128,
  numHeads: 4,
  numLayers: 2,
  intermediateSize: 520,
  maxPositions: 70,
  numLabels: 7,
};
export const wide: Problem = {
  spec: wideSpec,
  weights: randomWeights(wideSpec),
  data: randomDataset(wideSpec, 40, 70),
  steps: Array.from({ length: 2 }, (_, s) => Array.from({ length: 12 }, (_, i) => (11 * s + 7 * i) % 40)),
};

export const problems = [
  ["tiny", tiny],
  ["wide", wide],
] as const;

export const lane = (trainable: readonly boolean[], overrides: Partial<LaneSpec> = {}) =>
  laneSpec(trainable, {
    seed: 1234,
    dropout: true,
    weightDecay: 0.01,
    maxGradNorm: 1,
    labelSmoothing: 0.1,
    ...overrides,
  });

/** A rate per group, different in every group and step; zero for everyone at step 0, as a warm-up's. */
export const rates = (steps: number, groups: number) =>
  Array.from({ length: steps }, (_, s) => Array.from({ length: groups }, (_, g) => 1e-3 * s * (1 + g)));

export async function withModel<T>(
  problem: Problem,
  overrides: Partial<ModelSpec>,
  run: (model: ModelHandle, dataset: number) => Promise<T>,
): Promise<T> {
  const model = await native.createModel({ ...problem.spec, ...overrides }, problem.weights);
  try {
    return await run(model, await native.addDataset(model, datasetSpec(problem.data)));
  } finally {
    await native.dispose(model);
  }
}

export interface Trace {
  readonly loss: string;
  readonly norm: string;
  readonly weights: Record<string, string>;
  readonly logits: string;
}

export async function trace(
  model: ModelHandle,
  session: SessionHandle,
  dataset: number,
  index: number,
  results: { loss: Float32Array; gradNorm: Float32Array },
): Promise<Trace> {
  const evaluated = await native.evaluate(session, { lane: index, dataset });
  return {
    loss: bits(results.loss),
    norm: bits(results.gradNorm),
    weights: bitsOf(await readAll(model, session, index)),
    logits: bits(evaluated.logits),
  };
}

/** Trains one lane alone: its trace, and what the core said about the run. */
export async function trained(
  model: ModelHandle,
  dataset: number,
  problem: Problem,
  spec: LaneSpec,
  options: SessionOptions = cacheOff,
): Promise<{ trace: Trace; results: StepResults }> {
  const session = await native.createSession(model, [spec], options);
  const groups = spec.trainable.length;
  const results = await native.runSteps(
    session,
    chunk(dataset, problem.steps, rates(problem.steps.length, groups)),
  );
  expect(results.status).toBe("completed");
  expect([...results.diverged]).toEqual([-1]);
  const out = await trace(model, session, dataset, 0, results);
  await native.dispose(session);
  return { trace: out, results };
}

export const alone = async (...run: Parameters<typeof trained>): Promise<Trace> =>
  (await trained(...run)).trace;

export const everything = (spec: ModelSpec) => Array.from({ length: spec.numLayers + 2 }, () => true);

/** The first `depth` groups frozen: 1 the embeddings, L + 1 all but the head. */
export const frozenTo = (depth: number, spec: ModelSpec) =>
  Array.from({ length: spec.numLayers + 2 }, (_, group) => group >= depth);

/** Three lanes to stand side by side: different frozen groups, seeds and rates. */
export function threeLanes({ spec }: Problem): readonly LaneSpec[] {
  const L = spec.numLayers;
  return [
    lane(everything(spec), { seed: 7 }),
    lane([false, ...Array.from({ length: L }, (_, i) => i > 0), true], { seed: 8, weightDecay: 0.1 }),
    lane([true, ...Array.from({ length: L }, (_, i) => i !== 1), false], { seed: 9, maxGradNorm: 0 }),
  ];
}

/** A lane for every depth of the frozen prefix, the deepest first: with a cache the others' outputs come before it all the same. */
export const everyDepth = ({ spec }: Problem): readonly LaneSpec[] =>
  Array.from({ length: spec.numLayers + 1 }, (_, i) =>
    lane(frozenTo(spec.numLayers + 1 - i, spec), { seed: 20 + i }),
  );
