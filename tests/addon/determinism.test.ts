/**
 * Same build, seed, plan and data → same bits: whatever the number of threads, lanes side by side, the cut into batches, the
 * size of chunks, or what was evaluated in between; in fp32 and in bf16. The cache is in cache.test.ts. Dropout is on
 * everywhere. Compared by hash: equal bits, nothing less.
 */
import { describe, expect, test } from "vitest";
import type {
  LaneSpec,
  ModelHandle,
  ModelSpec,
  Precision,
  SessionHandle,
} from "../../src/native/contract.js";
import {
  bits,
  bitsOf,
  cacheAuto,
  chunk,
  kernelTables,
  native,
  precisions,
  randomDataset,
  randomWeights,
  readAll,
  sessionOptions,
} from "../golden/native.js";
import {
  alone,
  everyDepth,
  everything,
  frozenTo,
  lane,
  type Problem,
  problems,
  rates,
  type Trace,
  threeLanes,
  tiny,
  trace,
  trained,
  wide,
  withModel,
} from "./problems.js";

const inBoth = problems.flatMap(([name, problem]) => precisions.map((p) => [name, p, problem] as const));

/** Of one session of `lanesOf`, every lane's trace is that of the lane trained alone without a cache. */
async function eachEqualsAlone(
  lanesOf: (problem: Problem) => readonly LaneSpec[],
  problem: Problem,
  precision: Precision,
  threads: number,
  cache: "off" | "auto",
  isa = "auto",
): Promise<void> {
  const specs = lanesOf(problem);
  const separate: Trace[] = [];
  for (const spec of specs) {
    const off = sessionOptions("off", precision);
    separate.push(await withModel(problem, { isa, threads }, (m, d) => alone(m, d, problem, spec, off)));
  }
  await withModel(problem, { isa, threads }, async (model, dataset) => {
    const session = await native.createSession(model, specs, sessionOptions(cache, precision));
    const S = problem.steps.length;
    const results = await native.runSteps(
      session,
      chunk(dataset, problem.steps, rates(S, problem.spec.numLayers + 2), [...specs.keys()]),
    );
    for (const index of specs.keys()) {
      const own = {
        loss: results.loss.slice(index * S, index * S + S),
        gradNorm: results.gradNorm.slice(index * S, index * S + S),
      };
      expect(await trace(model, session, dataset, index, own), `lane ${index}`).toEqual(separate[index]);
    }
  });
}

describe.each(kernelTables)("%s", (isa) => {
  // The wide shape takes seconds of the reference, which has no blocks for it to span: not in everything.
  const cases = inBoth.filter(([name]) => isa !== "ref" || name === "tiny");
  const more = isa === "ref" ? [...cases, ["wide", "fp32", wide] as const] : cases;

  test.each(cases)("%s, %s: same seed twice, and another seed", async (_, precision, problem) => {
    const all = everything(problem.spec);
    const off = sessionOptions("off", precision);
    const run = (seed: number) =>
      withModel(problem, { isa }, (model, dataset) =>
        alone(model, dataset, problem, lane(all, { seed }), off),
      );
    const first = await run(1234);
    expect(await run(1234)).toEqual(first);
    expect((await run(1235)).loss).not.toBe(first.loss); // or dropout would not be tested here at all
  });

  test.each(more)("%s, %s: 1, 2 and 3 threads", async (_, precision, problem) => {
    const all = everything(problem.spec);
    const off = sessionOptions("off", precision);
    const run = (threads: number) =>
      withModel(problem, { isa, threads }, (model, dataset) =>
        alone(model, dataset, problem, lane(all), off),
      );
    const one = await run(1);
    expect(await run(2)).toEqual(one);
    expect(await run(3)).toEqual(one);
  });

  test.each(more)(
    "%s, %s: a row's result does not depend on the rows beside it",
    async (...[, precision, problem]) => {
      await withModel(problem, { isa }, async (model, dataset) => {
        const off = sessionOptions("off", precision);
        const session = await native.createSession(model, [lane(everything(problem.spec))], off);
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
    },
  );

  test.each(precisions)("tiny, %s: three lanes in one session equal each alone", async (precision) => {
    await eachEqualsAlone(threeLanes, tiny, precision, 2, "auto", isa);
  });
});

test.each(inBoth)("%s, %s: hidden states asked for or not, same logits", async (_, precision, problem) => {
  // Without them the last layer runs on first tokens only; with them for every token too, and the logits do not read that.
  await withModel(problem, {}, async (model, dataset) => {
    const session = await native.createSession(
      model,
      [lane(everything(problem.spec))],
      sessionOptions("off", precision),
    );
    const plain = await native.evaluate(session, { lane: 0, dataset });
    const withHidden = await native.evaluate(session, { lane: 0, dataset, hiddenStates: true });
    expect(plain.hiddenStates).toBe(null);
    expect(withHidden.hiddenStates!.length).toBe(problem.data.ids.length * problem.spec.hiddenSize);
    expect(bits(withHidden.logits)).toBe(bits(plain.logits));
    expect(bits(withHidden.loss)).toBe(bits(plain.loss));
  });
});

describe("batches", () => {
  // The core cuts evaluations, and fills of the cache, into batches of at most 2048 tokens: this set is three of them.
  const rows = 150;
  const spec: ModelSpec = { ...wide.spec, hiddenSize: 64, numHeads: 2, intermediateSize: 136 };
  const many: Problem = {
    spec,
    weights: randomWeights(spec),
    data: randomDataset(spec, rows, 70),
    // Every step takes rows from all over the set, in another order.
    steps: [0, 1, 2].map((s) => [0, 75, 149, 40, 110, 20].map((row) => (row + 150 - 13 * s) % rows)),
  };
  const specs = [1, spec.numLayers + 1].map((depth) => lane(frozenTo(depth, spec)));
  const all = Array.from({ length: rows }, (_, row) => row);
  const backwards = [...all].reverse();

  test("the set is what these tests need", () => {
    const { offsets } = many.data;
    expect(offsets[rows]).toBeGreaterThan(2 * 2048);
    expect(offsets[75]).toBeGreaterThan(2048); // rows 0, 75 and 149 are in three batches
    expect(offsets[76]).toBeLessThan(2 * 2048);
  });

  interface Evaluated {
    readonly logits: string;
    readonly loss: string;
    readonly hidden?: string;
  }

  /** Of several evaluations, as if one had followed the other. */
  const joined = (parts: readonly Awaited<ReturnType<typeof native.evaluate>>[]): Evaluated => ({
    logits: bits(...parts.map((p) => p.logits)),
    loss: bits(...parts.map((p) => p.loss)),
    ...(parts[0]!.hiddenStates && { hidden: bits(...parts.map((p) => p.hiddenStates!)) }),
  });

  async function evaluate(session: SessionHandle, lane: number, order: readonly number[], hidden = false) {
    const result = await native.evaluate(session, {
      lane,
      dataset: 0,
      rows: Int32Array.from(order),
      hiddenStates: hidden,
    });
    expect([result.status, result.loss.length]).toEqual(["completed", order.length]);
    return result;
  }

  async function oneByOne(session: SessionHandle, lane: number, order: readonly number[], hidden = false) {
    const parts = [];
    for (const row of order) parts.push(await evaluate(session, lane, [row], hidden));
    return parts;
  }

  const open = <T>(
    precision: Precision,
    cache: "off" | "auto",
    run: (session: SessionHandle) => Promise<T>,
  ) =>
    withModel(many, { threads: 2 }, async (model) =>
      run(await native.createSession(model, specs, sessionOptions(cache, precision))),
    );

  test.each(precisions)("all rows at once equal one by one, cache off and on (%s)", async (precision) => {
    // By lane: forwards and backwards, from rows evaluated alone and without a cache.
    const expected: { forwards: Evaluated; backwards: Evaluated; hidden: Evaluated }[] = [];
    await open(precision, "off", async (session) => {
      for (const index of [0, 1]) {
        const parts = await oneByOne(session, index, all);
        expected.push({
          forwards: joined(parts),
          backwards: joined([...parts].reverse()),
          hidden: joined(await oneByOne(session, index, all, true)),
        });
      }
    });
    const checkAllAtOnce = async (session: SessionHandle, index: number) => {
      const { forwards, backwards: reversed, hidden } = expected[index]!;
      expect(joined([await evaluate(session, index, all)]), `lane ${index}`).toEqual(forwards);
      expect(joined([await evaluate(session, index, backwards)]), `lane ${index}, backwards`).toEqual(
        reversed,
      );
      expect(joined([await evaluate(session, index, all, true)]), `lane ${index}, hidden`).toEqual(hidden);
    };
    await open(precision, "off", async (session) => {
      for (const index of [0, 1]) await checkAllAtOnce(session, index);
    });
    // Filled at once: the whole encoder's prefix from the tokens, as that of the embeddings lacks rows; then from the latter.
    await open(precision, "auto", async (session) => {
      await evaluate(session, 0, all.slice(1));
      await checkAllAtOnce(session, 1);
    });
    await open(precision, "auto", async (session) => {
      for (const index of [0, 1]) await checkAllAtOnce(session, index);
    });
    // Filled row by row, and in batches of what some rows filled one by one leave out.
    await open(precision, "auto", async (session) => {
      expect(joined(await oneByOne(session, 0, all))).toEqual(expected[0]!.forwards);
      await oneByOne(
        session,
        1,
        all.filter((row) => row % 5 === 1),
      );
      await checkAllAtOnce(session, 1);
    });
  });

  test.each(precisions)(
    "steps over rows of several fills equal those without a cache (%s)",
    async (precision) => {
      for (const spec of specs) {
        const off = await withModel(many, {}, (m, d) =>
          alone(m, d, many, spec, sessionOptions("off", precision)),
        );
        await withModel(many, { threads: 2 }, async (model, dataset) => {
          const auto = sessionOptions("auto", precision);
          const session = await native.createSession(model, [spec], auto);
          await native.evaluate(session, { lane: 0, dataset }); // fills
          const { trace, results } = await trained(model, dataset, many, spec, auto);
          expect(trace).toEqual(off);
          expect([results.cacheHits, results.cacheMisses]).toEqual([many.steps.flat().length, 0]);
        });
      }
    },
  );
});

describe("lanes", () => {
  const cases = precisions.flatMap((precision) =>
    ([1, 2] as const).flatMap((threads) =>
      (["off", "auto"] as const).map((cache) => [precision, threads, cache] as const),
    ),
  );
  test.each(cases)("three in one session equal each alone (%s, %i threads, cache %s)", async (...how) => {
    for (const problem of [tiny, wide]) await eachEqualsAlone(threeLanes, problem, ...how);
  });

  test.each(cases)("one of each depth equal each alone (%s, %i threads, cache %s)", async (...how) => {
    for (const problem of [tiny, wide]) await eachEqualsAlone(everyDepth, problem, ...how);
  });

  // Threads without a lane, and those whose lane is done, help with the others' ops: when they come is chance.
  const helpers = precisions.flatMap((precision) => [2, 5].map((threads) => [precision, threads] as const));
  test.each(helpers)("side by side, with help (%s, %i threads)", async (precision, threads) => {
    const specs = threeLanes(tiny);
    const [S, G] = [3, tiny.spec.numLayers + 2];
    const steps = tiny.steps.slice(0, S);
    const losses = async (model: ModelHandle, dataset: number, lanes: readonly number[]) => {
      const session = await native.createSession(
        model,
        lanes.map((lane) => specs[lane]!),
        sessionOptions("off", precision),
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
    await withModel(tiny, { threads }, async (model, dataset) => {
      const together = await losses(model, dataset, [0, 1, 2]);
      for (const lane of [0, 1, 2]) {
        expect(together.own[lane]).toEqual((await losses(model, dataset, [lane])).own[0]);
      }
      expect(together.weights).toEqual((await losses(model, dataset, [0])).weights);
    });
  });

  test.each(precisions)(
    "with batches of their own, in another order, some left out (%s)",
    async (precision) => {
      const specs = threeLanes(tiny);
      const off = sessionOptions("off", precision);
      const G = tiny.spec.numLayers + 2;
      const S = tiny.steps.length;
      const reversed = [...tiny.steps].reverse();
      const separate = await withModel(tiny, {}, (m, d) => alone(m, d, tiny, specs[0]!, off));
      const separateReversed = await withModel(tiny, {}, (m, d) =>
        alone(m, d, { ...tiny, steps: reversed }, specs[2]!, off),
      );
      await withModel(tiny, { threads: 2 }, async (model, dataset) => {
        const session = await native.createSession(model, specs, off);
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
    },
  );

  test.each(precisions)("one lane's NaN does not touch its neighbours (%s)", async (precision) => {
    const specs = threeLanes(tiny);
    const off = sessionOptions("off", precision);
    const G = tiny.spec.numLayers + 2;
    const S = tiny.steps.length;
    const separate = await withModel(tiny, {}, (m, d) => alone(m, d, tiny, specs[0]!, off));
    await withModel(tiny, { threads: 2 }, async (model, dataset) => {
      const session = await native.createSession(model, specs, off);
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

test.each(precisions)(
  "ten steps in one call or one by one, with evaluations, gradients and reads between (%s)",
  async (precision) => {
    const off = sessionOptions("off", precision);
    const spec = lane(everything(tiny.spec));
    const G = tiny.spec.numLayers + 2;
    const whole = await withModel(tiny, {}, (m, d) => alone(m, d, tiny, spec, off));
    const inPieces = await withModel(tiny, {}, async (model, dataset) => {
      const session = await native.createSession(model, [spec], off);
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
  },
);

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
    // Its gradient is zero, and where pooling reads one query a sequence, exactly so.
    const lastKeyBias = `encoder.layer.${tiny.spec.numLayers - 1}.attention.self.key.bias`;
    for (const { name, group } of native.describeModel(model).tensors) {
      if (trainable[group] && name !== lastKeyBias) expect(after[name], name).not.toBe(before[name]);
      else expect(after[name], name).toBe(before[name]);
    }
  });
});
