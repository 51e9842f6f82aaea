/**
 * saveState → loadState → continue is as never stopped, bit for bit, also in the middle of an epoch and in another session,
 * model or number of threads; snapshot and restore; states that do not fit are refused and change nothing.
 */
import { describe, expect, test } from "vitest";
import type { LaneSpec, ModelHandle, ModelSpec, SessionHandle } from "../../src/native/contract.js";
import {
  bits,
  bitsOf,
  cacheAuto,
  cacheOff,
  chunk,
  datasetSpec,
  laneSpec,
  modelSpec,
  native,
  precisions,
  readAll,
  sessionOptions,
} from "../golden/native.js";
import { readTiny, weightsOf } from "../golden/read.js";

const { meta, tensors } = readTiny();
const G = meta.config.num_hidden_layers + 2;
const data = meta.batches.training!;
// Two epochs of four steps over 24 rows; the stop below comes in the middle of the second.
const epoch = (shift: number) =>
  [0, 1, 2, 3].map((s) => [0, 1, 2, 3, 4, 5].map((i) => (7 * (6 * s + i) + shift) % 24));
const steps = [...epoch(0), ...epoch(5)];
const rates = steps.map((_, s) => Array.from({ length: G }, (_, g) => 1e-3 * (1 + s) * (1 + g)));

async function open(overrides: Partial<ModelSpec> = {}): Promise<{ model: ModelHandle; dataset: number }> {
  const spec = modelSpec(meta.config, {
    hiddenDropout: 0.1,
    attentionDropout: 0.1,
    classifierDropout: 0.1,
    cacheBytes: 1 << 24,
    ...overrides,
  });
  const model = await native.createModel(spec, weightsOf(tensors, "cls"));
  return { model, dataset: await native.addDataset(model, datasetSpec(data)) };
}

const lane = (trainable: readonly boolean[], overrides: Partial<LaneSpec> = {}) =>
  laneSpec(trainable, { seed: 42, dropout: true, weightDecay: 0.05, maxGradNorm: 1, ...overrides });

const run = (session: SessionHandle, dataset: number, from: number, to: number) =>
  native.runSteps(session, chunk(dataset, steps.slice(from, to), rates.slice(from, to)));

const freezings = [
  ["everything trainable", [true, true, true, true, true]],
  ["embeddings and layer 0 frozen", [false, false, true, true, true]],
  ["layers 0 and 2 frozen", [true, false, true, false, true]],
  ["only the head trained", [false, false, false, false, true]],
] as const;

describe("save → load → continue", () => {
  const inBoth = freezings.flatMap(([name, trainable]) =>
    precisions.map((p) => [name, p, trainable] as const),
  );

  test.each(inBoth)("%s, %s", async (_, precision, trainable) => {
    const off = sessionOptions("off", precision);
    const { model, dataset } = await open();
    const never = await native.createSession(model, [lane(trainable)], off);
    const whole = await run(never, dataset, 0, 8);
    const expected = bitsOf(await readAll(model, never));

    for (const stop of [1, 4, 6]) {
      const first = await native.createSession(model, [lane(trainable)], off);
      await run(first, dataset, 0, stop);
      const state = await native.saveState(first, 0);
      const saved = bitsOf(await readAll(model, first));
      await native.dispose(first);

      // Another model, other threads, the cache on: none of it may matter.
      const other = await open({ threads: 2 });
      const second = await native.createSession(
        other.model,
        [lane(trainable)],
        sessionOptions("auto", precision),
      );
      await native.loadState(second, 0, state);
      expect(bitsOf(await readAll(other.model, second)), `loaded at ${stop}`).toEqual(saved);
      const rest = await run(second, other.dataset, stop, 8);
      expect(bits(rest.loss), `stopped at ${stop}`).toBe(bits(whole.loss.slice(stop)));
      expect(bitsOf(await readAll(other.model, second)), `stopped at ${stop}`).toEqual(expected);
      await native.dispose(other.model);
    }
    await native.dispose(model);
  });

  test("saving twice gives the same bytes, and saving does not disturb the run", async () => {
    const { model, dataset } = await open();
    const all = freezings[0][1];
    const [a, b] = [
      await native.createSession(model, [lane(all)], cacheOff),
      await native.createSession(model, [lane(all)], cacheOff),
    ];
    await run(a, dataset, 0, 5);
    await run(b, dataset, 0, 5);
    const state = await native.saveState(a, 0);
    expect(bits(await native.saveState(a, 0))).toBe(bits(state));
    await run(a, dataset, 5, 8);
    await run(b, dataset, 5, 8);
    expect(bitsOf(await readAll(model, a))).toEqual(bitsOf(await readAll(model, b)));
    await native.dispose(model);
  });

  test("a saved and loaded state is the state: saved again, the same bytes", async () => {
    const { model, dataset } = await open();
    const spec = lane(freezings[2][1]);
    const a = await native.createSession(model, [spec], cacheOff);
    await run(a, dataset, 0, 5);
    const state = await native.saveState(a, 0);
    const b = await native.createSession(model, [spec], cacheOff);
    await native.loadState(b, 0, state);
    expect(bits(await native.saveState(b, 0))).toBe(bits(state));
    await native.dispose(model);
  });

  test("it goes back as well as on: load an earlier state into a lane that has trained", async () => {
    const { model, dataset } = await open();
    const session = await native.createSession(model, [lane(freezings[0][1])], cacheOff);
    await run(session, dataset, 0, 3);
    const state = await native.saveState(session, 0);
    const first = await run(session, dataset, 3, 8);
    const expected = bitsOf(await readAll(model, session));
    await native.loadState(session, 0, state);
    const second = await run(session, dataset, 3, 8);
    expect(bits(second.loss)).toBe(bits(first.loss));
    expect(bitsOf(await readAll(model, session))).toEqual(expected);
    await native.dispose(model);
  });

  test("one lane of three", async () => {
    const { model, dataset } = await open({ threads: 2 });
    const specs = freezings.slice(0, 3).map(([, trainable], i) => lane(trainable, { seed: i }));
    const session = await native.createSession(model, specs, cacheOff);
    const all = (from: number, to: number) =>
      native.runSteps(session, chunk(dataset, steps.slice(from, to), rates.slice(from, to), [0, 1, 2]));
    await all(0, 4);
    const state = await native.saveState(session, 1);
    await all(4, 8);
    const expected = bitsOf(await readAll(model, session, 1));
    const other = await native.createSession(model, specs, cacheOff);
    await native.loadState(other, 1, state);
    await native.runSteps(other, chunk(dataset, steps.slice(4), rates.slice(4), [1]));
    expect(bitsOf(await readAll(model, other, 1))).toEqual(expected);
    await native.dispose(model);
  });

  test("frozen tensors are not in the state", async () => {
    const { model } = await open();
    const sizes = [];
    for (const [, trainable] of freezings) {
      const session = await native.createSession(model, [lane(trainable)], cacheOff);
      const floats = native
        .describeModel(model)
        .tensors.filter((t) => trainable[t.group])
        .reduce((n, t) => n + t.shape.reduce((a, b) => a * b, 1), 0);
      const { length } = await native.saveState(session, 0);
      expect(length).toBeGreaterThanOrEqual(3 * 4 * floats); // weights and two moments
      expect(length).toBeLessThan(3 * 4 * floats + 8192);
      sizes.push(length);
    }
    expect(sizes[3]).toBeLessThan(sizes[0]! / 10);
    await native.dispose(model);
  });
});

const changed = (state: Uint8Array, at: number) =>
  Uint8Array.from(state, (b, i) => (i === at ? b ^ 0x55 : b));

describe("a state that does not fit is refused and changes nothing", () => {
  const cases: readonly (readonly [string, (state: Uint8Array) => Uint8Array])[] = [
    ["empty", () => new Uint8Array(0)],
    ["cut short", (s) => s.slice(0, s.length - 1)],
    ["cut in the header", (s) => s.slice(0, 20)],
    ["too long", (s) => Uint8Array.from([...s, 0])],
    ["not a state", (s) => Uint8Array.from(s, (_, i) => i & 255)],
    ["another version", (s) => changed(s, 7)],
    ["lying about its length", (s) => changed(s, 9)],
    // Bytes 40 to 47: 2^32 - 1 steps, then fewer than none.
    ["of more steps than there can be", (s) => Uint8Array.from(s, (b, i) => (i >= 40 && i < 44 ? 255 : b))],
    ["of a negative number of steps", (s) => Uint8Array.from(s, (b, i) => (i >= 40 && i < 48 ? 255 : b))],
  ];
  test.each(cases)("%s", async (_, spoil) => {
    const { model, dataset } = await open();
    const session = await native.createSession(model, [lane(freezings[0][1])], cacheOff);
    await run(session, dataset, 0, 2);
    const state = await native.saveState(session, 0);
    const before = bitsOf(await readAll(model, session));
    await expect(async () => native.loadState(session, 0, spoil(state))).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_/),
    });
    expect(bitsOf(await readAll(model, session))).toEqual(before);
    expect(bits(await native.saveState(session, 0))).toBe(bits(state));
    await native.dispose(model);
  });

  test("of other frozen groups", async () => {
    const { model } = await open();
    const a = await native.createSession(model, [lane([true, false, true, true, true])], cacheOff);
    const b = await native.createSession(model, [lane([true, true, false, true, true])], cacheOff);
    const state = await native.saveState(a, 0);
    await expect(async () => native.loadState(b, 0, state)).rejects.toMatchObject({ code: "ERR_STATE" });
    await native.dispose(model);
  });
});

describe("in place", () => {
  const inPlace = { ...cacheAuto, inPlace: true };

  test.each(freezings)(
    "%s: the bits of a lane with a copy, states that go both ways",
    async (_, trainable) => {
      const [copying, placed] = [await open(), await open({ threads: 2 })];
      const a = await native.createSession(copying.model, [lane(trainable)], cacheOff);
      const b = await native.createSession(placed.model, [lane(trainable)], inPlace);
      for (const [session, { dataset }] of [
        [a, copying],
        [b, placed],
      ] as const) {
        await run(session, dataset, 0, 3);
        await native.snapshot(session, 0);
        await run(session, dataset, 3, 5);
        await native.restore(session, 0);
        await run(session, dataset, 5, 8);
      }
      expect(bitsOf(await readAll(placed.model, b))).toEqual(bitsOf(await readAll(copying.model, a)));
      const state = await native.saveState(a, 0);
      expect(bits(await native.saveState(b, 0))).toBe(bits(state));
      await run(b, placed.dataset, 0, 1);
      await native.loadState(b, 0, state);
      expect(bitsOf(await readAll(placed.model, b))).toEqual(bitsOf(await readAll(copying.model, a)));
      await native.dispose(copying.model);
      await native.dispose(placed.model);
    },
  );

  test("a model is trained so by one lane, beside nobody, and once", async () => {
    const { model, dataset } = await open();
    const spec = lane(freezings[0][1]);
    await expect(async () => native.createSession(model, [spec, spec], inPlace)).rejects.toMatchObject({
      code: "ERR_RANGE",
    });
    const copying = await native.createSession(model, [spec], cacheOff);
    await expect(async () => native.createSession(model, [spec], inPlace)).rejects.toMatchObject({
      code: "ERR_STATE",
    });
    const before = bitsOf(await readAll(model, copying));
    await native.dispose(copying);
    const placed = await native.createSession(model, [spec], inPlace);
    expect(bitsOf(await readAll(model, placed))).toEqual(before);
    await run(placed, dataset, 0, 1);
    for (const options of [cacheOff, inPlace]) {
      await expect(async () => native.createSession(model, [spec], options)).rejects.toMatchObject({
        code: "ERR_STATE",
      });
    }
    await native.dispose(placed);
    await expect(async () => native.createSession(model, [spec], cacheOff)).rejects.toMatchObject({
      code: "ERR_STATE",
    });
    await native.dispose(model);
  });
});

describe("snapshot and restore", () => {
  test("goes back to the weights of the snapshot, as often as asked", async () => {
    const { model, dataset } = await open();
    const session = await native.createSession(model, [lane(freezings[2][1])], cacheOff);
    await run(session, dataset, 0, 3);
    await native.snapshot(session, 0);
    const best = bitsOf(await readAll(model, session));
    const { logits } = await native.evaluate(session, { lane: 0, dataset });
    for (const [from, to] of [
      [3, 5],
      [5, 8],
    ] as const) {
      await run(session, dataset, from, to);
      expect(bitsOf(await readAll(model, session))).not.toEqual(best);
      await native.restore(session, 0);
      expect(bitsOf(await readAll(model, session))).toEqual(best);
      expect(bits((await native.evaluate(session, { lane: 0, dataset })).logits)).toBe(bits(logits));
    }
    await native.dispose(model);
  });

  test("the last snapshot counts; lanes have their own", async () => {
    const { model, dataset } = await open();
    const specs = [lane(freezings[0][1], { seed: 1 }), lane(freezings[0][1], { seed: 2 })];
    const session = await native.createSession(model, specs, cacheOff);
    await native.snapshot(session, 0);
    const all = (from: number, to: number) =>
      native.runSteps(session, chunk(dataset, steps.slice(from, to), rates.slice(from, to), [0, 1]));
    await all(0, 2);
    await native.snapshot(session, 0);
    const second = bitsOf(await readAll(model, session, 0));
    await all(2, 4);
    const other = bitsOf(await readAll(model, session, 1));
    await native.restore(session, 0);
    expect(bitsOf(await readAll(model, session, 0))).toEqual(second);
    expect(bitsOf(await readAll(model, session, 1))).toEqual(other);
    await expect(async () => native.restore(session, 1)).rejects.toMatchObject({ code: "ERR_STATE" });
    await native.dispose(model);
  });

  test("moments and step count stay, whatever was evaluated before going back", async () => {
    // Embedding rows owe updates until somebody reads them: an evaluation in between must not change what follows.
    const after: Record<string, string>[] = [];
    for (const evaluated of [false, true]) {
      const { model, dataset } = await open();
      const session = await native.createSession(model, [lane(freezings[0][1])], cacheOff);
      await run(session, dataset, 0, 2);
      await native.snapshot(session, 0);
      await run(session, dataset, 2, 5);
      if (evaluated) await native.evaluate(session, { lane: 0, dataset });
      await native.restore(session, 0);
      await run(session, dataset, 5, 8);
      after.push(bitsOf(await readAll(model, session)));
      await native.dispose(model);
    }
    expect(after[1]).toEqual(after[0]);
  });
});
