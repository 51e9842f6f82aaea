/**
 * The cache of frozen prefixes changes no bit, in fp32 and in bf16: on or off, with room for all of it or for some, in memory
 * and in files; and what it says it holds is what it holds.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelSpec, Precision, StepResults, TensorMap } from "../../src/native/contract.js";
import {
  bits,
  chunk,
  datasetSpec,
  kernelTables,
  native,
  precisions,
  randomDataset,
  sessionOptions,
} from "../golden/native.js";
import type { PackedBatch } from "../golden/read.js";
import {
  alone,
  frozenTo,
  lane,
  type Problem,
  problems,
  rates,
  type Trace,
  tiny,
  trained,
  withModel,
} from "./problems.js";

const withoutPooler = (weights: TensorMap): TensorMap =>
  Object.fromEntries(Object.entries(weights).filter(([name]) => !name.startsWith("pooler.")));

/** Two epochs with the cache on, on two threads, and with no room for it, against those without. */
async function onEqualsOff(
  problem: Problem,
  precision: Precision,
  pooling: "cls" | "mean",
  depth: number,
  isa = "auto",
): Promise<void> {
  const twice = {
    ...problem,
    steps: [...problem.steps, ...problem.steps],
    weights: pooling === "cls" ? problem.weights : withoutPooler(problem.weights),
  };
  const run = (cache: "off" | "auto", overrides: Partial<ModelSpec> = {}) =>
    withModel(twice, { pooling, isa, ...overrides }, (model, dataset) =>
      alone(model, dataset, twice, lane(frozenTo(depth, problem.spec)), sessionOptions(cache, precision)),
    );
  const off = await run("off");
  expect(await run("auto")).toEqual(off);
  expect(await run("auto", { threads: 2 })).toEqual(off);
  expect(await run("auto", { cacheBytes: 4096 })).toEqual(off); // no room: falls back to computing
}

describe.each(kernelTables)("%s", (isa) => {
  test.each(precisions)("tiny, %s, depth 2: on equals off", async (precision) => {
    await onEqualsOff(tiny, precision, "cls", 2, isa);
  });
});

// Depth 1 (embeddings) to L + 1 (the whole encoder), pooling by first token and by mean.
const cases = precisions.flatMap((precision) =>
  (["cls", "mean"] as const).flatMap((pooling) =>
    problems.flatMap(([name, problem]) =>
      Array.from(
        { length: problem.spec.numLayers + 1 },
        (_, i) => [name, precision, pooling, i + 1, problem] as const,
      ),
    ),
  ),
);
test.each(cases)(
  "%s, %s, %s pooling, depth %i: on equals off",
  async (_, precision, pooling, depth, problem) => {
    await onEqualsOff(problem, precision, pooling, depth);
  },
);

// From here on the tiny problem, with lanes named by their depth.
const L = tiny.spec.numLayers;
const laneOf = (depth: number) => lane(frozenTo(depth, tiny.spec));
const seen = tiny.steps.flat().length;
const distinct = new Set(tiny.steps.flat()).size;

/** Of lanes trained one by one with the cache off, by depth from 1 on. */
async function withoutCache(
  precision: Precision,
  depths: readonly number[],
  problem = tiny,
): Promise<Trace[]> {
  const traces: Trace[] = [];
  for (const depth of depths) {
    const off = sessionOptions("off", precision);
    traces.push(await withModel(problem, {}, (m, d) => alone(m, d, problem, laneOf(depth), off)));
  }
  return traces;
}

/** Bytes of one depth's outputs for every token of a dataset. */
const bytesOf = (data: PackedBatch) => data.ids.length * tiny.spec.hiddenSize * 4;
const counts = ({ cacheHits, cacheMisses }: StepResults) => [cacheHits, cacheMisses];
const allHits = [seen, 0];
const firstTime = [seen - distinct, distinct];
const noCache = [0, 0];

test.each(precisions)(
  "a deeper prefix computed from a shallower one, and by sessions after one another (%s)",
  async (precision) => {
    const depths = Array.from({ length: L + 1 }, (_, i) => i + 1);
    const separate = await withoutCache(precision, depths);
    const flops: number[] = [];
    await withModel(tiny, {}, async (model, dataset) => {
      const auto = sessionOptions("auto", precision);
      for (const depth of depths) {
        const own = await trained(model, dataset, tiny, laneOf(depth), auto);
        expect(own.trace, `depth ${depth}`).toEqual(separate[depth - 1]);
        expect(counts(own.results), `depth ${depth}`).toEqual(firstTime);
        // Of the prefix, a lane ran what the one before it had not.
        const again = await trained(model, dataset, tiny, laneOf(depth), auto);
        flops.push(own.results.flops - again.results.flops);
      }
      // The embeddings take none, every layer but the last, of which only first tokens go on, the same.
      const [embeddings, layer, ...deeper] = flops.slice(0, L);
      expect([embeddings, ...deeper]).toEqual([0, ...deeper.map(() => layer)]);
      expect(layer).toBeGreaterThan(0);
      expect(deeper.length).toBeGreaterThan(0);
    });
  },
);

test("lanes of several depths run each layer of the prefix once, in whatever order they stand", async () => {
  const flopsOf = (depths: readonly number[]) =>
    withModel(tiny, {}, async (model, dataset) => {
      const session = await native.createSession(model, depths.map(laneOf), sessionOptions("auto", "fp32"));
      const run = () =>
        native.runSteps(
          session,
          chunk(dataset, tiny.steps, rates(tiny.steps.length, L + 2), [...depths.keys()]),
        );
      const first = await run();
      return first.flops - (await run()).flops;
    });
  const [shallow, both] = [await flopsOf([2]), await flopsOf([2, 3])];
  expect(both).toBe(2 * shallow);
  expect(await flopsOf([3, 2])).toBe(both);
});

describe("room for some depths only: entries give way, bits stay", () => {
  const one = bytesOf(tiny.data);
  const depths = [1, 2, 3];
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), "permafrost-cache-test-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  const here = () => directory;
  const nowhere = () => path.join(directory, "not", "there");

  // Memory and files in depths, where the files go; how many depths are held in the end, also by lanes at once; and which
  // ones a second round finds. The least recently used goes first, and to be filled from counts as use: of two depths of
  // three the first is found again, of one depth none.
  const tiers: readonly (readonly [string, number, number, () => string, number, readonly number[]])[] = [
    ["memory for one", 1, 0, here, 1, []],
    ["memory for two", 2, 0, here, 2, [1]],
    ["memory for one, files for one", 1, 1, here, 2, []],
    ["memory for one, files for two", 1, 2, here, 3, [1, 2, 3]],
    ["files for two", 0, 2, here, 2, [1]],
    ["files for three", 0, 3, here, 3, [1, 2, 3]],
    ["memory for one, files in no directory", 1, 2, nowhere, 1, []],
    ["files in no directory", 0, 3, nowhere, 0, []],
  ];
  const both = precisions.flatMap((p) => tiers.map(([name, ...tier]) => [name, p, ...tier] as const));

  test.each(both)("%s (%s)", async (_, precision, memory, files, where, held, found) => {
    const separate = await withoutCache(precision, depths);
    const auto = sessionOptions("auto", precision);
    const budget = { cacheBytes: memory * one, cacheFileBytes: files * one, cacheDirectory: where() };

    await withModel(tiny, { ...budget, threads: 2 }, async (model, dataset) => {
      for (const round of [1, 2]) {
        for (const depth of depths) {
          const { trace, results } = await trained(model, dataset, tiny, laneOf(depth), auto);
          const at = `round ${round}, depth ${depth}`;
          expect(trace, at).toEqual(separate[depth - 1]);
          const expected = round === 2 && found.includes(depth) ? allHits : firstTime;
          expect(counts(results), at).toEqual(held > 0 ? expected : noCache);
          expect(results.cacheBytes, at).toBe(one * (round === 1 ? Math.min(depth, held) : held));
        }
      }
      expect(readdirSync(directory)).toEqual([]); // unlinked as soon as they are made
    });

    // Three lanes of one session want a depth each at once: what is in use stays where it is, the rest compute.
    await withModel(tiny, { ...budget, threads: 2 }, async (model, dataset) => {
      const session = await native.createSession(model, depths.map(laneOf), auto);
      const S = tiny.steps.length;
      for (const round of [1, 2]) {
        const results = await native.runSteps(
          session,
          chunk(dataset, tiny.steps, rates(S, L + 2), [0, 1, 2]),
        );
        expect(results.cacheBytes).toBe(held * one);
        expect(counts(results)).toEqual((round === 1 ? firstTime : allHits).map((n) => n * held));
        if (round === 1) {
          const losses = depths.map((_, i) => bits(results.loss.slice(i * S, i * S + S)));
          expect(losses).toEqual(separate.map(({ loss }) => loss));
        }
      }
    });
  });
});

test("nothing gives way to what would not fit even then", async () => {
  const short: Problem = { ...tiny, data: randomDataset(tiny.spec, 24, 4) };
  const [a, b] = [bytesOf(short.data), bytesOf(tiny.data)];
  expect(a).toBeLessThan(b);
  const auto = sessionOptions("auto", "fp32");
  await withModel(tiny, { cacheBytes: a + b }, async (model, dataset) => {
    const other = await native.addDataset(model, datasetSpec(short.data));
    await trained(model, other, short, laneOf(2), auto);
    // Both depths are in use at once: the second needs more than is left when all others have gone.
    const session = await native.createSession(model, [laneOf(2), laneOf(3)], auto);
    const S = tiny.steps.length;
    const results = await native.runSteps(session, chunk(dataset, tiny.steps, rates(S, L + 2), [0, 1]));
    expect([results.cacheBytes, ...counts(results)]).toEqual([a + b, ...firstTime]);
    expect(counts((await trained(model, other, short, laneOf(2), auto)).results)).toEqual(allHits);
  });
});

describe("precision is in the key", () => {
  const orders = [
    ["fp32", "bf16"],
    ["bf16", "fp32"],
  ] as const;
  // A lane of another depth would be filled from the shallower prefix if it took that for its own precision's.
  test.each(orders)("trained in %s, then in %s, is as in a fresh model", async (first, second) => {
    for (const [before, after] of [
      [2, 2],
      [2, 3],
      [L + 1, L + 1],
    ] as const) {
      const [other] = await withoutCache(first, [after]);
      const [fresh] = await withoutCache(second, [after]);
      expect(fresh).not.toEqual(other);
      await withModel(tiny, {}, async (model, dataset) => {
        await trained(model, dataset, tiny, laneOf(before), sessionOptions("auto", first));
        const own = await trained(model, dataset, tiny, laneOf(after), sessionOptions("auto", second));
        expect(own.trace, `depths ${before}, ${after}`).toEqual(fresh);
        expect(counts(own.results), `depths ${before}, ${after}`).toEqual(firstTime);
      });
    }
  });
});

describe("removeDataset", () => {
  const other: Problem = { ...tiny, data: randomDataset(tiny.spec, 24, 20) };
  const third: Problem = { ...tiny, data: randomDataset(tiny.spec, 24, 20, 6) };
  const depth = 2;
  const [a, b] = [bytesOf(tiny.data), bytesOf(other.data)];
  const auto = sessionOptions("auto", "fp32");
  const refused = { code: "ERR_RANGE", message: expect.stringMatching(/^dataset: .*received 0$/) };

  const budgets: readonly (readonly [string, Partial<ModelSpec>])[] = [
    ["memory", {}],
    ["files", { cacheBytes: 0, cacheFileBytes: 1 << 24, cacheDirectory: tmpdir() }],
  ];
  test.each(budgets)(
    "frees its prefixes in %s, refuses its index from then on, leaves the others",
    async (_, budget) => {
      const [offOther] = await withoutCache("fp32", [depth], other);
      const [offThird] = await withoutCache("fp32", [depth], third);
      await withModel(tiny, budget, async (model, dataset) => {
        const second = await native.addDataset(model, datasetSpec(other.data));
        expect([dataset, second]).toEqual([0, 1]);
        const first = await trained(model, dataset, tiny, laneOf(depth), auto);
        expect(first.results.cacheBytes).toBe(a);
        const before = await trained(model, second, other, laneOf(depth), auto);
        expect(before.trace).toEqual(offOther);
        expect(before.results.cacheBytes).toBe(a + b);

        const session = await native.createSession(model, [laneOf(depth)], auto);
        await native.removeDataset(model, dataset);
        const steps = chunk(dataset, [[0, 1]], rates(1, L + 2));
        for (const call of [
          () => native.runSteps(session, steps),
          () => native.evaluate(session, { lane: 0, dataset }),
          () => native.gradients(session, 0, dataset, Int32Array.of(0)),
          () => native.removeDataset(model, dataset),
        ]) {
          await expect(call).rejects.toMatchObject(refused);
        }

        const after = await trained(model, second, other, laneOf(depth), auto);
        expect(after.trace).toEqual(offOther);
        expect(counts(after.results)).toEqual(allHits);
        expect(after.results.cacheBytes).toBe(b);

        // The index is not given again, and nothing of the removed one's prefixes is found under the new one.
        const added = await native.addDataset(model, datasetSpec(third.data));
        expect(added).toBe(2);
        const fresh = await trained(model, added, third, laneOf(depth), auto);
        expect(fresh.trace).toEqual(offThird);
        expect(counts(fresh.results)).toEqual(firstTime);
        await expect(async () => native.runSteps(session, steps)).rejects.toMatchObject(refused);
      });
    },
  );

  test("waits for the call that uses it", async () => {
    const [off] = await withoutCache("fp32", [depth]);
    await withModel(tiny, {}, async (model, dataset) => {
      const session = await native.createSession(model, [laneOf(depth)], auto);
      const steps = chunk(dataset, tiny.steps, rates(tiny.steps.length, L + 2));
      const running = native.runSteps(session, steps);
      const removed = native.removeDataset(model, dataset);
      expect(bits((await running).loss)).toBe(off!.loss);
      await removed;
      await expect(async () => native.runSteps(session, steps)).rejects.toMatchObject(refused);
    });
  });
});
