/**
 * Same build, seed, plan and data → same bits: whatever the number of threads, lanes side by side, the cache, the size of
 * chunks, or what was evaluated in between. Dropout is on everywhere. Compared by hash: equal bits, nothing less.
 *
 * Two shapes: the tiny fixture, and a wider random model whose matrices span several blocks of the fast kernels.
 */
import { describe, expect, test } from "vitest";
import type {
  LaneSpec,
  ModelHandle,
  ModelSpec,
  SessionHandle,
  SessionOptions,
  TensorMap,
} from "../../src/native/contract.js";
import {
  bits,
  bitsOf,
  cacheAuto,
  cacheOff,
  chunk,
  datasetSpec,
  kernelTables,
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

interface Problem {
  readonly spec: ModelSpec;
  readonly weights: TensorMap;
  readonly data: PackedBatch;
  readonly steps: readonly (readonly number[])[];
}

const tiny: Problem = {
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
const wide: Problem = {
  spec: wideSpec,
  weights: randomWeights(wideSpec),
  data: randomDataset(wideSpec, 40, 70),
  steps: Array.from({ length: 2 }, (_, s) => Array.from({ length: 12 }, (_, i) => (11 * s + 7 * i) % 40)),
};

const problems = [
  ["tiny", tiny],
  ["wide", wide],
] as const;

const lane = (trainable: readonly boolean[], overrides: Partial<LaneSpec> = {}) =>
  laneSpec(trainable, {
    seed: 1234,
    dropout: true,
    weightDecay: 0.01,
    maxGradNorm: 1,
    labelSmoothing: 0.1,
    ...overrides,
  });

/** A rate per group, different in every group and step; zero for everyone at step 0, as a warm-up's. */
const rates = (steps: number, groups: number) =>
  Array.from({ length: steps }, (_, s) => Array.from({ length: groups }, (_, g) => 1e-3 * s * (1 + g)));

async function withModel<T>(
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

interface Trace {
  readonly loss: string;
  readonly norm: string;
  readonly weights: Record<string, string>;
  readonly logits: string;
}

async function trace(
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

/** Trains one lane alone. */
async function alone(
  model: ModelHandle,
  dataset: number,
  problem: Problem,
  spec: LaneSpec,
  options: SessionOptions = cacheOff,
) {
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
  return out;
}

const everything = (spec: ModelSpec) => Array.from({ length: spec.numLayers + 2 }, () => true);

describe.each(kernelTables)("%s", (isa) => {
  test.each(problems)("%s: same seed twice, and another seed", async (_, problem) => {
    const all = everything(problem.spec);
    const run = (seed: number) =>
      withModel(problem, { isa }, (model, dataset) => alone(model, dataset, problem, lane(all, { seed })));
    const first = await run(1234);
    expect(await run(1234)).toEqual(first);
    expect((await run(1235)).loss).not.toBe(first.loss); // or dropout would not be tested here at all
  });

  test.each(problems)("%s: 1, 2 and 3 threads", async (_, problem) => {
    const all = everything(problem.spec);
    const run = (threads: number) =>
      withModel(problem, { isa, threads }, (model, dataset) => alone(model, dataset, problem, lane(all)));
    const one = await run(1);
    expect(await run(2)).toEqual(one);
    expect(await run(3)).toEqual(one);
  });

  test.each(problems)("%s: a row's result does not depend on the rows beside it", async (_, problem) => {
    await withModel(problem, { isa }, async (model, dataset) => {
      const session = await native.createSession(model, [lane(everything(problem.spec))], cacheOff);
      const together = await native.evaluate(session, { lane: 0, dataset });
      const R = problem.spec.numLabels;
      const count = problem.data.labels.length;
      for (const row of [0, 1, count - 1]) {
        const single = await native.evaluate(session, { lane: 0, dataset, rows: Int32Array.of(row) });
        expect(bits(single.logits)).toBe(bits(together.logits.slice(row * R, row * R + R)));
        expect(bits(single.loss)).toBe(bits(together.loss.slice(row, row + 1)));
      }
      const backwards = Int32Array.from({ length: count }, (_, i) => count - 1 - i);
      const reversed = await native.evaluate(session, { lane: 0, dataset, rows: backwards });
      expect(bits(reversed.loss.reverse())).toBe(bits(together.loss));
    });
  });
});

test.each(problems)("%s: hidden states asked for or not, same logits", async (_, problem) => {
  // Without them the last layer runs on first tokens only.
  await withModel(problem, {}, async (model, dataset) => {
    const session = await native.createSession(model, [lane(everything(problem.spec))], cacheOff);
    const plain = await native.evaluate(session, { lane: 0, dataset });
    const withHidden = await native.evaluate(session, { lane: 0, dataset, hiddenStates: true });
    expect(plain.hiddenStates).toBe(null);
    expect(withHidden.hiddenStates!.length).toBe(problem.data.ids.length * problem.spec.hiddenSize);
    expect(bits(withHidden.logits)).toBe(bits(plain.logits));
    expect(bits(withHidden.loss)).toBe(bits(plain.loss));
  });
});

describe("lanes", () => {
  // Different frozen groups, seeds and rates side by side.
  const laneSpecs = (problem: Problem) => {
    const L = problem.spec.numLayers;
    return [
      lane(everything(problem.spec), { seed: 7 }),
      lane([false, ...Array.from({ length: L }, (_, i) => i > 0), true], { seed: 8, weightDecay: 0.1 }),
      lane([true, ...Array.from({ length: L }, (_, i) => i !== 1), false], { seed: 9, maxGradNorm: 0 }),
    ];
  };

  test.each([
    [1, "off"],
    [2, "off"],
    [1, "auto"],
    [2, "auto"],
  ] as const)("three in one session equal each alone (%i threads, cache %s)", async (threads, cache) => {
    for (const problem of [tiny, wide]) {
      const specs = laneSpecs(problem);
      const separate: Trace[] = [];
      for (const spec of specs) {
        separate.push(await withModel(problem, { threads }, (m, d) => alone(m, d, problem, spec)));
      }
      await withModel(problem, { threads }, async (model, dataset) => {
        const session = await native.createSession(model, specs, cache === "auto" ? cacheAuto : cacheOff);
        const S = problem.steps.length;
        const results = await native.runSteps(
          session,
          chunk(dataset, problem.steps, rates(S, problem.spec.numLayers + 2), [0, 1, 2]),
        );
        for (const index of [0, 1, 2]) {
          const own = {
            loss: results.loss.slice(index * S, index * S + S),
            gradNorm: results.gradNorm.slice(index * S, index * S + S),
          };
          expect(await trace(model, session, dataset, index, own), `lane ${index}`).toEqual(separate[index]);
        }
      });
    }
  });

  // The core runs lanes in turn for the first 8 steps it times, side by side for the next 8, then the faster way: all are in
  // here, and which one was taken cannot be seen.
  test("in turn, side by side, and as the core then chooses", async () => {
    const specs = laneSpecs(tiny);
    const [S, G] = [3, tiny.spec.numLayers + 2];
    const steps = tiny.steps.slice(0, S);
    const losses = async (model: ModelHandle, dataset: number, lanes: readonly number[]) => {
      const session = await native.createSession(
        model,
        lanes.map((lane) => specs[lane]!),
        cacheOff,
      );
      const own = lanes.map((): string[] => []);
      for (let call = 0; call < 8; call++) {
        const { loss } = await native.runSteps(
          session,
          chunk(dataset, steps, rates(S, G), [...lanes.keys()]),
        );
        for (const i of lanes.keys()) own[i]!.push(bits(loss.slice(i * S, i * S + S)));
      }
      return { own, weights: bitsOf(await readAll(model, session, 0)) };
    };
    await withModel(tiny, { threads: 2 }, async (model, dataset) => {
      const together = await losses(model, dataset, [0, 1, 2]);
      for (const lane of [0, 1, 2]) {
        expect(together.own[lane]).toEqual((await losses(model, dataset, [lane])).own[0]);
      }
      expect(together.weights).toEqual((await losses(model, dataset, [0])).weights);
    });
  });

  test("lanes with batches of their own, in another order, some left out", async () => {
    const specs = laneSpecs(tiny);
    const G = tiny.spec.numLayers + 2;
    const S = tiny.steps.length;
    const reversed = [...tiny.steps].reverse();
    const separate = await withModel(tiny, {}, (m, d) => alone(m, d, tiny, specs[0]!));
    const separateReversed = await withModel(tiny, {}, (m, d) =>
      alone(m, d, { ...tiny, steps: reversed }, specs[2]!),
    );
    await withModel(tiny, { threads: 2 }, async (model, dataset) => {
      const session = await native.createSession(model, specs, cacheOff);
      const untouched = bitsOf(await readAll(model, session, 1));
      const a = chunk(dataset, reversed, rates(S, G));
      const b = chunk(dataset, tiny.steps, rates(S, G));
      const results = await native.runSteps(session, {
        dataset,
        lanes: Int32Array.of(2, 0),
        rows: [a.rows[0]!, b.rows[0]!],
        offsets: [a.offsets[0]!, b.offsets[0]!],
        learningRates: Float64Array.from([...a.learningRates, ...b.learningRates]),
      });
      const part = (i: number) => ({
        loss: results.loss.slice(i * S, i * S + S),
        gradNorm: results.gradNorm.slice(i * S, i * S + S),
      });
      expect(await trace(model, session, dataset, 2, part(0))).toEqual(separateReversed);
      expect(await trace(model, session, dataset, 0, part(1))).toEqual(separate);
      expect(bitsOf(await readAll(model, session, 1))).toEqual(untouched);
    });
  });

  test("one lane's NaN does not touch its neighbours", async () => {
    const specs = laneSpecs(tiny);
    const G = tiny.spec.numLayers + 2;
    const S = tiny.steps.length;
    const separate = await withModel(tiny, {}, (m, d) => alone(m, d, tiny, specs[0]!));
    await withModel(tiny, { threads: 2 }, async (model, dataset) => {
      const session = await native.createSession(model, specs, cacheOff);
      const wild = Array.from({ length: S }, () => Array.from({ length: G }, () => 1e30));
      const results = await native.runSteps(
        session,
        chunk(dataset, tiny.steps, [rates(S, G), wild, rates(S, G)], [0, 1, 2]),
      );
      expect(results.diverged[1]).toBeGreaterThan(0);
      expect(results.completed[1]).toBe(results.diverged[1]);
      expect(Number.isFinite(results.loss[S + results.diverged[1]!]!)).toBe(false);
      const own = { loss: results.loss.slice(0, S), gradNorm: results.gradNorm.slice(0, S) };
      expect(await trace(model, session, dataset, 0, own)).toEqual(separate);
    });
  });
});

describe("cache", () => {
  // Depth 1 (embeddings) to L + 1 (the whole encoder), two epochs, pooling by first token and by mean.
  const cases = (["cls", "mean"] as const).flatMap((pooling) =>
    problems.flatMap(([name, problem]) =>
      Array.from({ length: problem.spec.numLayers + 1 }, (_, i) => [name, pooling, i + 1, problem] as const),
    ),
  );

  test.each(cases)("%s, %s pooling, depth %i: on equals off", async (_, pooling, depth, problem) => {
    const trainable = Array.from({ length: problem.spec.numLayers + 2 }, (_, g) => g >= depth);
    const twice = { ...problem, steps: [...problem.steps, ...problem.steps] };
    const weights = pooling === "cls" ? problem.weights : withoutPooler(problem.weights);
    const run = (options: SessionOptions, threads: number, bytes = cacheBytes) =>
      withModel({ ...twice, weights }, { pooling, threads, cacheBytes: bytes }, (model, dataset) =>
        alone(model, dataset, twice, lane(trainable), options),
      );
    const off = await run(cacheOff, 1);
    expect(await run(cacheAuto, 1)).toEqual(off);
    expect(await run(cacheAuto, 2)).toEqual(off);
    expect(await run(cacheAuto, 1, 4096)).toEqual(off); // no room: falls back to computing
  });

  test("a deeper prefix computed from a shallower one, and by sessions after one another", async () => {
    const L = tiny.spec.numLayers;
    const trainable = (depth: number) => Array.from({ length: L + 2 }, (_, g) => g >= depth);
    const separate: Trace[] = [];
    for (let depth = 1; depth <= L + 1; depth++) {
      separate.push(await withModel(tiny, {}, (m, d) => alone(m, d, tiny, lane(trainable(depth)))));
    }
    await withModel(tiny, {}, async (model, dataset) => {
      for (let depth = 1; depth <= L + 1; depth++) {
        const own = await alone(model, dataset, tiny, lane(trainable(depth)), cacheAuto);
        expect(own, `depth ${depth}`).toEqual(separate[depth - 1]);
      }
    });
  });

  test("a cache of room for one depth only: entries give way, bits stay", async () => {
    const L = tiny.spec.numLayers;
    const one = tiny.data.ids.length * tiny.spec.hiddenSize * 4;
    const specs = [1, 2, 3].map((depth) => lane(Array.from({ length: L + 2 }, (_, g) => g >= depth)));
    const separate: Trace[] = [];
    for (const spec of specs) separate.push(await withModel(tiny, {}, (m, d) => alone(m, d, tiny, spec)));
    await withModel(tiny, { cacheBytes: one, threads: 2 }, async (model, dataset) => {
      for (let round = 0; round < 2; round++) {
        for (const [i, spec] of specs.entries()) {
          expect(await alone(model, dataset, tiny, spec, cacheAuto)).toEqual(separate[i]);
        }
      }
      const session = await native.createSession(model, specs, cacheAuto);
      const S = tiny.steps.length;
      const results = await native.runSteps(session, chunk(dataset, tiny.steps, rates(S, L + 2), [0, 1, 2]));
      for (const i of [0, 1, 2]) {
        expect(bits(results.loss.slice(i * S, i * S + S))).toBe(separate[i]!.loss);
      }
    });
  });
});

test("ten steps in one call or one by one, with evaluations, gradients and reads between", async () => {
  const spec = lane(everything(tiny.spec));
  const G = tiny.spec.numLayers + 2;
  const whole = await withModel(tiny, {}, (m, d) => alone(m, d, tiny, spec));
  const inPieces = await withModel(tiny, {}, async (model, dataset) => {
    const session = await native.createSession(model, [spec], cacheOff);
    const loss: number[] = [];
    const norm: number[] = [];
    for (const [s, rate] of rates(tiny.steps.length, G).entries()) {
      const r = await native.runSteps(session, chunk(dataset, [tiny.steps[s]!], [rate]));
      loss.push(r.loss[0]!);
      norm.push(r.gradNorm[0]!);
      if (s === 1) await native.evaluate(session, { lane: 0, dataset });
      if (s === 3) await native.gradients(session, 0, dataset, Int32Array.of(1, 2, 3));
      if (s === 4) await readAll(model, session);
      if (s === 5) await native.saveState(session, 0);
      if (s === 6) await native.snapshot(session, 0);
    }
    return trace(model, session, dataset, 0, {
      loss: Float32Array.from(loss),
      gradNorm: Float32Array.from(norm),
    });
  });
  expect(inPieces).toEqual(whole);
});

test.each([
  ["layers 0 and 2", [true, false, true, false, true]],
  ["embeddings and layer 0", [false, false, true, true, true]],
  ["everything but the head", [false, false, false, false, true]],
  ["the head", [true, true, true, true, false]],
] as const)("frozen bytes are unchanged after training: %s", async (_, trainable) => {
  await withModel(tiny, {}, async (model, dataset) => {
    const session = await native.createSession(model, [lane(trainable, { weightDecay: 0.5 })], cacheAuto);
    const before = bitsOf(await readAll(model, session));
    for (const [name, values] of Object.entries(tiny.weights)) expect(before[name], name).toBe(bits(values));
    await native.runSteps(session, chunk(dataset, tiny.steps, rates(tiny.steps.length, trainable.length)));
    const after = bitsOf(await readAll(model, session));
    for (const { name, group } of native.describeModel(model).tensors) {
      if (trainable[group]) expect(after[name], name).not.toBe(before[name]);
      else expect(after[name], name).toBe(before[name]);
    }
  });
});

const withoutPooler = (weights: TensorMap): TensorMap =>
  Object.fromEntries(Object.entries(weights).filter(([name]) => !name.startsWith("pooler.")));
