/**
 * What must not break the core: wrong handles, lying lengths, values out of range, buffers that go away, calls at the wrong
 * time. Every refusal is an Error with a code `ERR_…` that names the field; nothing crashes, and what was refused changed
 * nothing. Work that is cancelled or disposed, and threads that die: lifetime.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  DatasetSpec,
  LaneSpec,
  ModelHandle,
  ModelSpec,
  SessionHandle,
  StepChunk,
} from "../../src/native/contract.js";
import {
  bits,
  bitsOf,
  cacheOff,
  chunk,
  constantRates,
  laneSpec,
  native,
  readAll,
  tensorNames,
} from "../golden/native.js";
import { config, data, everything, goodChunk, lane, open, spec, weights } from "./small.js";

const G = everything.length;

/** The error a call is refused with, thrown at once or by its promise. */
async function refusal(call: () => unknown): Promise<Error & { code: string }> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    expect((error as { code?: unknown }).code, String(error)).toMatch(/^ERR_[A-Z]+$/);
    return error as Error & { code: string };
  }
  throw new Error("was accepted");
}

let model: ModelHandle;
let session: SessionHandle;

beforeAll(async () => {
  ({ model, session } = await open());
});

afterAll(() => native.dispose(model));

/** Anything a caller in plain JavaScript may pass. */
const as = <T>(value: unknown) => value as T;

function detached<T extends ArrayBufferView>(view: T): T {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
  return view;
}

const shared = (values: Int32Array) => {
  const view = new Int32Array(new SharedArrayBuffer(values.byteLength));
  view.set(values);
  return view;
};

describe("handles", () => {
  const calls: readonly (readonly [string, "model" | "session", (handle: never) => unknown])[] = [
    ["describeModel", "model", (h) => native.describeModel(h)],
    ["addDataset", "model", (h) => native.addDataset(h, data)],
    ["removeDataset", "model", (h) => native.removeDataset(h, 0)],
    ["createSession", "model", (h) => native.createSession(h, [lane], cacheOff)],
    [
      "describePlan",
      "session",
      (h) => native.describePlan(h, { lane: 0, lengths: Int32Array.of(3), cached: false }),
    ],
    ["runSteps", "session", (h) => native.runSteps(h, goodChunk)],
    ["evaluate", "session", (h) => native.evaluate(h, { lane: 0, dataset: 0 })],
    ["gradients", "session", (h) => native.gradients(h, 0, 0, Int32Array.of(0))],
    ["readTensors", "session", (h) => native.readTensors(h, 0, ["classifier.bias"])],
    ["snapshot", "session", (h) => native.snapshot(h, 0)],
    ["restore", "session", (h) => native.restore(h, 0)],
    ["saveState", "session", (h) => native.saveState(h, 0)],
    ["loadState", "session", (h) => native.loadState(h, 0, new Uint8Array(8))],
    ["profile", "session", (h) => native.profile(h)],
    ["cancel", "session", (h) => native.cancel(h)],
  ];

  test.each([...calls, ["dispose", "neither", (h: never) => native.dispose(h)] as const])(
    "%s refuses what is not its handle",
    async (_, kind, call) => {
      const right = kind === "model" ? model : session;
      const forged: unknown[] = [
        undefined,
        null,
        0,
        "model",
        Symbol("handle"),
        {},
        [],
        () => {},
        { ...(right as object) },
        Object.create(null),
        new Proxy({}, { get: () => 1 }),
      ];
      if (kind !== "neither") forged.push(kind === "model" ? session : model);
      if (kind !== "neither") forged.push(Object.create(right as object), new Proxy(right as object, {}));
      for (const handle of forged) expect((await refusal(() => call(handle as never))).code).toBe("ERR_ARG");
    },
  );

  test.each(calls)("%s refuses a disposed handle, and one whose model is disposed", async (_, kind, call) => {
    const m = await native.createModel(spec, weights);
    await native.addDataset(m, data);
    const s = await native.createSession(m, [lane], cacheOff);
    if (kind === "session") {
      const other = await native.createSession(m, [lane], cacheOff);
      await native.dispose(other);
      expect((await refusal(() => call(other as never))).code).toBe("ERR_DISPOSED");
    }
    await native.dispose(m);
    expect((await refusal(() => call((kind === "model" ? m : s) as never))).code).toBe("ERR_DISPOSED");
  });

  test("dispose is idempotent, in any order, also at once", async () => {
    const m = await native.createModel(spec, weights);
    const [a, b] = [
      await native.createSession(m, [lane], cacheOff),
      await native.createSession(m, [lane], cacheOff),
    ];
    await native.dispose(a);
    await native.dispose(a);
    await Promise.all([native.dispose(b), native.dispose(m), native.dispose(b), native.dispose(m)]);
    await native.dispose(a);
    await native.dispose(b);
  });

  test("nothing passed at all, or too little", async () => {
    for (const [name, f] of Object.entries(native) as [string, (...a: unknown[]) => unknown][]) {
      if (["version", "listDevices"].includes(name)) continue;
      await refusal(() => f());
      await refusal(() => f(undefined, undefined, undefined, undefined, undefined));
      if (!["profile", "cancel", "dispose"].includes(name)) await refusal(() => f(session));
    }
  });
});

describe("createModel", () => {
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    vocabSize: [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40, "97", null, undefined, 98],
    hiddenSize: [0, 33, 2 ** 40, Number.NaN, "32"],
    numLayers: [0, -1, 2 ** 31, 2 ** 53, 4],
    numHeads: [0, 3, 5, 8, 2 ** 40, Number.NaN],
    intermediateSize: [0, -64, 2 ** 40, 65],
    maxPositions: [0, 2 ** 33, Number.NaN],
    typeVocabSize: [0, -2, 3],
    layerNormEps: [-1e-12, Number.NaN, Number.POSITIVE_INFINITY, "small"],
    padTokenId: [Number.NaN, 0.5, -7],
    numLabels: [0, -1, 2 ** 40, 6],
    pooling: ["max", "", 3, undefined],
    hiddenDropout: [-0.1, 1, 1.5, Number.NaN],
    attentionDropout: [-0.1, 1, Number.NaN],
    classifierDropout: [-0.1, 1, Number.NaN],
    threads: [0, -1, 1.5, 1e9, Number.NaN],
    isa: ["sse2", "", 3, "REF"],
    cacheBytes: [-1, Number.NaN, Number.POSITIVE_INFINITY],
    cacheFileBytes: [-1, Number.NaN, Number.POSITIVE_INFINITY, "1", 1], // 1: and no cacheDirectory
  };

  test.each(Object.entries(wrong))("%s", async (field, values) => {
    for (const value of values) {
      const bad = { ...spec, [field]: value } as ModelSpec;
      const error = await refusal(() => native.createModel(bad, weights));
      expect(error.code, `${field}: ${String(value)}`).toMatch(/^ERR_(ARG|RANGE|SHAPE)$/);
    }
  });

  test("a group of 2^31 parameters, each of its sizes in range", async () => {
    const head = { ...spec, hiddenSize: 4096, numHeads: 128, numLabels: 2 ** 20 };
    const error = await refusal(() => native.createModel(head, weights));
    expect(error).toMatchObject({ code: "ERR_RANGE", message: expect.stringMatching(/^head: .* 2\^31/) });
  });

  test("errors name the field, what was expected and what was received", async () => {
    const bad = { ...spec, hiddenDropout: -0.5 };
    expect((await refusal(() => native.createModel(bad, weights))).message).toMatch(
      /hiddenDropout: expected .*received -0\.5/,
    );
    const short = { ...weights, "classifier.bias": new Float32Array(4) };
    expect((await refusal(() => native.createModel(spec, short))).message).toMatch(
      /classifier\.bias: expected 5 .*received 4/,
    );
  });

  const name = "encoder.layer.1.output.dense.weight";
  const tensorCases: readonly (readonly [string, unknown])[] = [
    ["missing", undefined],
    ["null", null],
    ["an array", [1, 2, 3]],
    ["too short", new Float32Array(3)],
    ["too long", new Float32Array(32 * 64 + 1)],
    ["float64", new Float64Array(32 * 64)],
    ["raw bytes", new Uint8Array(4 * 32 * 64)],
    ["shared memory", new Float32Array(new SharedArrayBuffer(4 * 32 * 64))],
    ["detached", detached(new Float32Array(32 * 64))],
    ["a lie", { length: 32 * 64, buffer: new ArrayBuffer(8), byteOffset: 0, BYTES_PER_ELEMENT: 4 }],
  ];
  test.each(tensorCases)("a tensor that is %s", async (_, value) => {
    const error = await refusal(() =>
      native.createModel(spec, { ...weights, [name]: value as Float32Array }),
    );
    expect(error.message).toContain(name);
  });

  test("getters that throw throw their own error", async () => {
    const boom = new Error("boom");
    const nasty = Object.defineProperty({ ...weights }, name, {
      get() {
        throw boom;
      },
    });
    await expect(async () => native.createModel(spec, nasty)).rejects.toBe(boom);
    const proxy = new Proxy(spec, {
      get() {
        throw boom;
      },
    });
    await expect(async () => native.createModel(proxy, weights)).rejects.toBe(boom);
  });

  test("weights are copied in: changed afterwards, nothing happens", async () => {
    const mine = Object.fromEntries(Object.entries(weights).map(([n, w]) => [n, w.slice()]));
    const pending = native.createModel(spec, mine);
    for (const w of Object.values(mine)) w.fill(7);
    detached(mine["classifier.weight"]!);
    const m = await pending;
    const s = await native.createSession(m, [lane], cacheOff);
    expect(bitsOf(await readAll(m, s))).toEqual(bitsOf(await readAll(model, session)));
    await native.dispose(m);
  });

  test("NaN in the weights is a result, not a crash", async () => {
    const nan = { ...weights, "classifier.bias": new Float32Array(5).fill(Number.NaN) };
    const m = await native.createModel(spec, nan);
    const dataset = await native.addDataset(m, data);
    const s = await native.createSession(m, [lane], cacheOff);
    const evaluated = await native.evaluate(s, { lane: 0, dataset });
    expect(evaluated.logits.every(Number.isNaN)).toBe(true);
    const before = bitsOf(await readAll(m, s));
    const ran = await native.runSteps(s, { ...goodChunk, dataset });
    expect([ran.status, ran.completed[0], ran.diverged[0]]).toEqual(["completed", 0, 0]);
    expect(ran.loss[0]).toBeNaN();
    expect(bitsOf(await readAll(m, s))).toEqual(before);
    await native.dispose(m);
  });
});

describe("addDataset", () => {
  const with_ = (at: keyof DatasetSpec, change: (values: Int32Array) => unknown): DatasetSpec => ({
    ...data,
    [at]: change(data[at].slice()),
  });
  const set = (at: keyof DatasetSpec, index: number, value: number) =>
    with_(at, (values) => {
      values[index] = value;
      return values;
    });
  const rows = data.labels.length;
  const cases: readonly (readonly [string, DatasetSpec, RegExp])[] = [
    ["a token past the vocabulary", set("ids", 5, config.vocab_size), /ids\[5\].*97/],
    ["a negative token", set("ids", 0, -1), /ids\[0\]/],
    ["a token type too many", set("types", 2, 2), /types\[2\]/],
    ["a negative token type", set("types", 2, -1), /types\[2\]/],
    ["a label too large", set("labels", 3, 5), /row 3.*label/],
    ["a label below -1", set("labels", 3, -2), /row 3.*label/],
    ["offsets that do not begin at 0", set("offsets", 0, 1), /offsets|row 0/],
    ["offsets that fall", set("offsets", 3, 0), /row|offsets/],
    ["an empty row", set("offsets", 1, 0), /row 0/],
    ["offsets past the end", set("offsets", rows, data.ids.length + 1), /offsets|row/],
    ["offsets before the end", set("offsets", rows, data.ids.length - 1), /offsets|row/],
    ["offsets that wrap around", set("offsets", 1, -(2 ** 31)), /row|offsets/],
    [
      "a row longer than the positions",
      with_("offsets", () => Int32Array.of(0, data.ids.length)),
      /labels|row 0/,
    ],
    [
      "no rows",
      {
        ids: new Int32Array(0),
        types: new Int32Array(0),
        offsets: Int32Array.of(0),
        labels: new Int32Array(0),
      },
      /offsets/,
    ],
    [
      "nothing",
      {
        ids: new Int32Array(0),
        types: new Int32Array(0),
        offsets: new Int32Array(0),
        labels: new Int32Array(0),
      },
      /offsets/,
    ],
    ["fewer types than ids", with_("types", (v) => v.slice(1)), /types/],
    ["more labels than rows", with_("labels", (v) => Int32Array.of(...v, 0)), /labels/],
    ["ids of another type", with_("ids", (v) => Float64Array.from(v)), /ids/],
    ["ids of unsigned type", with_("ids", (v) => Uint32Array.from(v)), /ids/],
    ["an ordinary array", with_("ids", (v) => [...v]), /ids/],
    ["BigInts", with_("ids", (v) => BigInt64Array.from([...v].map(BigInt))), /ids/],
    ["shared memory", with_("ids", shared), /ids/],
    ["a detached buffer", with_("labels", detached), /labels/],
    [
      "a field missing",
      as<DatasetSpec>({ ids: data.ids, types: data.types, offsets: data.offsets }),
      /labels/,
    ],
  ];
  test.each(cases)("%s", async (_, bad, message) => {
    expect((await refusal(() => native.addDataset(model, bad))).message).toMatch(message);
  });

  test("the longest row that fits, and a view into a larger buffer, are accepted and copied", async () => {
    const P = config.max_position_embeddings;
    const buffer = new Int32Array(P + 20).fill(9);
    const ids = buffer.subarray(10, 10 + P);
    const index = native.addDataset(model, {
      ids,
      types: new Int32Array(P),
      offsets: Int32Array.of(0, P),
      labels: Int32Array.of(1),
    });
    buffer.fill(-5);
    const evaluated = await native.evaluate(session, { lane: 0, dataset: await index });
    expect(evaluated.logits.every(Number.isFinite)).toBe(true);
  });

  test("a refused dataset takes no index", async () => {
    const first = await native.addDataset(model, data);
    await refusal(() => native.addDataset(model, set("ids", 0, -1)));
    expect(await native.addDataset(model, data)).toBe(first + 1);
  });
});

describe("removeDataset", () => {
  test.each([99, -1, 0.5, Number.NaN, 2 ** 32, "0", null, undefined])(
    "%s is refused and changes nothing",
    async (bad) => {
      const error = await refusal(() => native.removeDataset(model, as(bad)));
      expect(error.message).toMatch(/^dataset: expected/);
      expect((await native.evaluate(session, { lane: 0, dataset: 0 })).loss.length).toBe(data.labels.length);
    },
  );
});

describe("createSession", () => {
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    trainable: [
      [],
      [true],
      everything.map(() => false),
      [...everything, true],
      everything.map(() => 1),
      "ttttt",
      undefined,
    ],
    seed: [-1, 0.5, Number.NaN, 2 ** 53, "1", 1n, undefined],
    beta1: [-0.1, 1, Number.NaN],
    beta2: [-0.1, 1, Number.NaN],
    epsilon: [-1e-8, 0, 1e-60, Number.NaN, Number.POSITIVE_INFINITY],
    weightDecay: [-0.01, Number.NaN, Number.POSITIVE_INFINITY],
    maxGradNorm: [-1, Number.NaN, Number.POSITIVE_INFINITY],
    labelSmoothing: [-0.1, 1.1, Number.NaN],
    dropout: [undefined, 1, "yes"],
  };
  test.each(Object.entries(wrong))("%s", async (field, values) => {
    for (const value of values) {
      const bad = { ...lane, [field]: value } as LaneSpec;
      const error = await refusal(() => native.createSession(model, [lane, bad], cacheOff));
      expect(error.message, `${field}: ${String(value)}`).toContain(field);
    }
  });

  test("no lanes, wrong options", async () => {
    await refusal(() => native.createSession(model, [], cacheOff));
    await refusal(() => native.createSession(model, as({ length: 1, 0: lane }), cacheOff));
    await refusal(() => native.createSession(model, as([null]), cacheOff));
    await refusal(() => native.createSession(model, new Array(3), cacheOff));
    await refusal(() => native.createSession(model, [lane], as({ precision: "fp16", cache: "off" })));
    await refusal(() => native.createSession(model, [lane], as({ precision: "fp32", cache: "on" })));
    await refusal(() => native.createSession(model, [lane], as({})));
  });

  test("all frozen is refused in words", async () => {
    const frozen = laneSpec(everything.map(() => false));
    const error = await refusal(() => native.createSession(model, [frozen], cacheOff));
    expect(error.message).toMatch(/lanes\[0\]\.trainable.*at least one trainable group/);
  });
});

describe("runSteps", () => {
  const one = (overrides: Record<string, unknown>) => ({ ...goodChunk, ...overrides }) as StepChunk;
  const rates = (...values: number[]) => Float64Array.from({ length: G }, (_, g) => values[g] ?? 1e-3);
  const cases: readonly (readonly [string, () => StepChunk, RegExp])[] = [
    ["a dataset that is not there", () => one({ dataset: 99 }), /dataset/],
    ["a negative dataset", () => one({ dataset: -1 }), /dataset/],
    ["half a dataset", () => one({ dataset: 0.5 }), /dataset/],
    ["a row past the end", () => one({ rows: [Int32Array.of(0, 1, 24)] }), /rows.*24/],
    ["a negative row", () => one({ rows: [Int32Array.of(0, -1, 2)] }), /rows.*-1/],
    ["no lists of rows", () => one({ rows: [] }), /rows|offsets/],
    ["rows that are no list", () => one({ rows: Int32Array.of(0, 1, 2) }), /rows/],
    ["too many lists", () => one({ rows: [Int32Array.of(0), Int32Array.of(0)] }), /rows|offsets/],
    ["offsets short of the rows", () => one({ offsets: [Int32Array.of(0, 2)] }), /offsets/],
    ["offsets past the rows", () => one({ offsets: [Int32Array.of(0, 4)] }), /offsets/],
    [
      "offsets that fall",
      () => one({ offsets: [Int32Array.of(0, 4, 3)], learningRates: new Float64Array(2 * G) }),
      /offsets/,
    ],
    [
      "an empty batch",
      () => one({ offsets: [Int32Array.of(0, 0, 3)], learningRates: new Float64Array(2 * G) }),
      /offsets/,
    ],
    [
      "no steps",
      () =>
        one({ rows: [new Int32Array(0)], offsets: [Int32Array.of(0)], learningRates: new Float64Array(0) }),
      /offsets/,
    ],
    ["no offsets", () => one({ offsets: [new Int32Array(0)] }), /offsets/],
    ["no lanes", () => one({ lanes: new Int32Array(0), learningRates: new Float64Array(0) }), /lanes/],
    ["a lane that is not there", () => one({ lanes: Int32Array.of(1) }), /lanes/],
    ["a negative lane", () => one({ lanes: Int32Array.of(-1) }), /lanes/],
    [
      "a lane twice",
      () => one({ lanes: Int32Array.of(0, 0), learningRates: new Float64Array(2 * G) }),
      /lane/,
    ],
    ["a NaN rate", () => one({ learningRates: rates(1e-3, Number.NaN) }), /learningRates/],
    ["a negative rate", () => one({ learningRates: rates(-1e-3) }), /learningRates/],
    ["an infinite rate", () => one({ learningRates: rates(Number.POSITIVE_INFINITY) }), /learningRates/],
    ["too few rates", () => one({ learningRates: new Float64Array(G - 1) }), /learningRates/],
    ["too many rates", () => one({ learningRates: new Float64Array(G + 1) }), /learningRates/],
    ["float32 rates", () => one({ learningRates: new Float32Array(G) }), /learningRates/],
    ["detached rows", () => one({ rows: [detached(Int32Array.of(0, 1, 2))] }), /rows/],
    ["detached rates", () => one({ learningRates: detached(rates()) }), /learningRates/],
    ["shared rows", () => one({ rows: [shared(Int32Array.of(0, 1, 2))] }), /rows/],
    ["nothing", () => as({}), /./],
  ];
  test.each(cases)("%s is refused and changes nothing", async (_, bad, message) => {
    const s = await native.createSession(model, [lane], cacheOff);
    const before = bits(await native.saveState(s, 0));
    expect((await refusal(() => native.runSteps(s, bad()))).message).toMatch(message);
    expect(bits(await native.saveState(s, 0))).toBe(before);
    expect((await native.runSteps(s, goodChunk)).status).toBe("completed"); // and the session lives on
    await native.dispose(s);
  });

  test("rows without a label", async () => {
    const unlabelled = await native.addDataset(model, {
      ...data,
      labels: data.labels.map((l, i) => (i === 1 ? -1 : l)),
    });
    const error = await refusal(() => native.runSteps(session, { ...goodChunk, dataset: unlabelled }));
    expect(error.message).toMatch(/row 1/);
    await refusal(() => native.gradients(session, 0, unlabelled, Int32Array.of(0, 1)));
    const evaluated = await native.evaluate(session, { lane: 0, dataset: unlabelled });
    expect([...evaluated.loss].map(Number.isNaN).indexOf(true)).toBe(1);
  });

  test("arguments are copied in: changed or gone after the call, same bits", async () => {
    const run = async (disturb: boolean) => {
      const s = await native.createSession(model, [lane], cacheOff);
      const steps = Array.from({ length: 5 }, (_, i) => [i, i + 1, i + 2]);
      const c = chunk(0, steps, constantRates(5, [1e-3, 1e-3, 1e-3, 1e-3, 1e-3]));
      const pending = native.runSteps(s, c);
      if (disturb) {
        c.rows[0]!.fill(0);
        c.learningRates.fill(Number.NaN);
        for (const view of [c.rows[0]!, c.offsets[0]!, c.lanes, c.learningRates]) detached(view);
      }
      const { loss } = await pending;
      const state = bits(await native.saveState(s, 0));
      await native.dispose(s);
      return [bits(loss), state];
    };
    expect(await run(true)).toEqual(await run(false));
  });

  test("results are ours: detaching them hurts nobody", async () => {
    const s = await native.createSession(model, [lane], cacheOff);
    const { loss } = await native.runSteps(s, goodChunk);
    const [bias] = await native.readTensors(s, 0, ["classifier.bias"]);
    const before = bits(bias!);
    detached(bias!);
    detached(loss);
    const [again] = await native.readTensors(s, 0, ["classifier.bias"]);
    expect(bits(again!)).toBe(before);
    await native.dispose(s);
  });

  test("a second call while one runs is refused, the first goes on", async () => {
    const s = await native.createSession(model, [lane], cacheOff);
    const first = native.runSteps(s, goodChunk);
    expect((await refusal(() => native.runSteps(s, goodChunk))).code).toBe("ERR_BUSY");
    expect((await refusal(() => native.saveState(s, 0))).code).toBe("ERR_BUSY");
    expect([...(await first).completed]).toEqual([1]);
    expect([...(await native.runSteps(s, goodChunk)).completed]).toEqual([1]);
    await native.dispose(s);
  });

  test("a huge rate ends in `diverged`, with the weights of the last finite step", async () => {
    const s = await native.createSession(model, [lane], cacheOff);
    const steps = Array.from({ length: 6 }, () => [0, 1, 2]);
    const ran = await native.runSteps(s, chunk(0, steps, constantRates(6, [1e30, 1e30, 1e30, 1e30, 1e30])));
    expect(ran.status).toBe("completed");
    expect(ran.diverged[0]).toBeGreaterThan(0);
    expect(ran.completed[0]).toBe(ran.diverged[0]);
    expect(
      Number.isFinite(ran.loss[ran.diverged[0]!]!) && Number.isFinite(ran.gradNorm[ran.diverged[0]!]!),
    ).toBe(false);
    expect([...ran.loss.slice(ran.diverged[0]! + 1)].every(Number.isNaN)).toBe(true);
    await native.dispose(s);
  });
});

describe("evaluate, gradients, readTensors, describePlan, selfTest", () => {
  test("evaluate", async () => {
    for (const bad of [
      { lane: 1, dataset: 0 },
      { lane: -1, dataset: 0 },
      { lane: 0.5, dataset: 0 },
      { lane: 0, dataset: 99 },
      { lane: 0, dataset: Number.NaN },
      { lane: 0, dataset: 0, rows: Int32Array.of(24) },
      { lane: 0, dataset: 0, rows: Int32Array.of(-1) },
      { lane: 0, dataset: 0, rows: [0] },
      { lane: 0, dataset: 0, rows: null },
      { lane: 0, dataset: 0, rows: detached(Int32Array.of(0)) },
      {},
    ]) {
      await refusal(() => native.evaluate(session, as(bad)));
    }
    const none = await native.evaluate(session, { lane: 0, dataset: 0, rows: new Int32Array(0) });
    expect([none.status, none.logits.length, none.loss.length]).toEqual(["completed", 0, 0]);
    const twice = await native.evaluate(session, { lane: 0, dataset: 0, rows: Int32Array.of(3, 3) });
    expect(twice.loss[0]).toBe(twice.loss[1]);
  });

  test("gradients", async () => {
    await refusal(() => native.gradients(session, 1, 0, Int32Array.of(0)));
    await refusal(() => native.gradients(session, 0, 99, Int32Array.of(0)));
    await refusal(() => native.gradients(session, 0, 0, Int32Array.of(24)));
    await refusal(() => native.gradients(session, 0, 0, new Int32Array(0)));
    await refusal(() => native.gradients(session, 0, 0, as([0])));
  });

  test("readTensors", async () => {
    const error = await refusal(() => native.readTensors(session, 0, ["classifier.bias", "classifier.bais"]));
    expect(error.message).toContain("classifier.bais");
    await refusal(() => native.readTensors(session, 1, ["classifier.bias"]));
    await refusal(() => native.readTensors(session, 0, as("classifier.bias")));
    await refusal(() => native.readTensors(session, 0, as([3])));
    expect(await native.readTensors(session, 0, [])).toEqual([]);
    expect((await native.readTensors(session, 0, tensorNames(model))).length).toBe(tensorNames(model).length);
  });

  test("describePlan", async () => {
    for (const bad of [
      { lane: 1, lengths: Int32Array.of(3), cached: false },
      { lane: 0, lengths: Int32Array.of(0), cached: false },
      { lane: 0, lengths: Int32Array.of(-3), cached: false },
      { lane: 0, lengths: [3], cached: false },
      { lane: 0, lengths: Int32Array.of(3), cached: "no" },
      {},
    ]) {
      await refusal(() => native.describePlan(session, as(bad)));
    }
  });

  test("selfTest", async () => {
    await refusal(() => native.selfTest("sse2"));
    await refusal(() => native.selfTest(as(3)));
    for (const [op, difference] of Object.entries(await native.selfTest("auto"))) {
      expect(difference, op).toBeLessThan(1e-4);
    }
  });
});
