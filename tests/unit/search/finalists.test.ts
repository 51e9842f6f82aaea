/** Retraining with a trainer that is made up: what is stored, what is not scored, what is written where. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { SearchEvent } from "../../../src/events.js";
import { type FinalistOptions, retrain, seedKey } from "../../../src/search/finalists.js";
import { trainingKey } from "../../../src/search/manifest.js";
import type { ModelFile } from "../../../src/search/model-file.js";
import { enterTestRead, testWasRead } from "../../../src/search/test-reads.js";
import { NonePruner } from "../../../src/study/pruners/none.js";
import { RandomSampler } from "../../../src/study/samplers/random.js";
import { MemoryStore } from "../../../src/study/stores/memory.js";
import { Study } from "../../../src/study/study.js";
import type { Task } from "../../../src/train/task.js";

const fake = vi.hoisted(() => ({
  evalStrategies: [] as string[],
  /** Seeds trained, and splits scored, in order. */
  trained: [] as number[],
  scored: [] as string[],
  diverges: new Set<number>(),
  accuracy: (seed: number) => seed / 100,
  testLoss: (_seed: number): number => 0.1,
  /** Called before a session trains its seeds, and before one is scored: throws, or stops the search. */
  beforeRun: (_seeds: readonly number[]): void => {},
  beforeScore: (_seed: number): void => {},
  open: 0,
}));

vi.mock("../../../src/train/trainer.js", () => ({
  Trainer: {
    open: async (_task: unknown, { evalStrategy }: FinalistOptions, lanes: { seed: number }[]) => ({
      session: { open: ++fake.open },
      totalSteps: 7,
      totals: { cache: { hits: 2, misses: 1, bytes: lanes.length } },
      stepsPerEpoch: 7,
      rowsIn: (steps: number) => 16 * steps,
      run: async (_hooks: unknown, signal: AbortSignal) => {
        fake.beforeRun(lanes.map(({ seed }) => seed));
        signal.throwIfAborted();
        fake.evalStrategies.push(evalStrategy);
        fake.trained.push(...lanes.map(({ seed }) => seed));
        const cost = { seconds: 1, flops: 2, tokens: 9, trainedParameters: 3, steps: 7, best: null };
        return lanes.map(({ seed }) => ({
          ...(fake.diverges.has(seed)
            ? { state: "diverged", final: null }
            : { state: "completed", final: { accuracy: fake.accuracy(seed), loss: 0.1 } }),
          ...cost,
        }));
      },
      score: async (lane: number, split: string, signal: AbortSignal) => {
        const { seed } = lanes[lane]!;
        fake.beforeScore(seed);
        signal.throwIfAborted();
        fake.scored.push(`${split} ${seed}`);
        return { accuracy: fake.accuracy(seed), loss: fake.testLoss(seed), correct: [true, false] };
      },
      [Symbol.asyncDispose]: async () => {
        fake.open--;
      },
    }),
  },
}));

const task = {
  initialFor: () => ({}),
  splits: { validation: "validation", test: "test" },
} as unknown as Task;
const rates = { "layer.0": 1e-5, head: 1e-3 };
const finalist = (changes: Partial<FinalistOptions> = {}) =>
  ({ arm: "per-layer", rates, key: "k", seeds: [1, 2, 3], lanes: 2, ...changes }) as FinalistOptions;

/** A folder that holds one file, marked by the seed. */
class Folder implements ModelFile {
  mark: string | null = null;
  state: object | null = null;
  async write(
    _session: unknown,
    _lane: number,
    seed: number,
    { trainerState }: Parameters<ModelFile["write"]>[3],
  ): Promise<string> {
    this.mark = `weights of ${seed}`;
    this.state = trainerState;
    return this.mark;
  }
  async holds(mark: string): Promise<boolean> {
    return this.mark === mark;
  }
}

let store: MemoryStore;
let study: Study;
beforeEach(async () => {
  Object.assign(fake, {
    evalStrategies: [],
    trained: [],
    scored: [],
    diverges: new Set(),
    accuracy: (seed: number) => seed / 100,
    testLoss: () => 0.1,
    beforeRun: () => {},
    beforeScore: () => {},
    open: 0,
  });
  store = new MemoryStore();
  study = await newStudy();
});
const newStudy = (studyName = "s") =>
  Study.create({
    ...{ store, studyName, direction: "maximize", space: [], manifest: {} },
    ...{ sampler: new RandomSampler(), pruner: new NonePruner(), seed: 1, nRandomTrials: 0, metricName: "x" },
  });
const go = (
  options: FinalistOptions,
  model: ModelFile | null = null,
  emit: (event: SearchEvent) => void = () => {},
  signal = new AbortController().signal,
) => retrain(study, task, options, model, emit, signal);

describe("retraining", () => {
  test("runs each seed once, whatever the number of calls; more seeds add only themselves", async () => {
    const first = await go(finalist());
    expect(first.cache).toEqual({ hits: 4, misses: 2, bytes: 2 }); // of two sessions
    expect(await go(finalist())).toEqual({ ...first, cache: { hits: 0, misses: 0, bytes: 0 } });
    expect(fake.trained).toEqual([1, 2, 3]);
    await go(finalist({ seeds: [1, 2, 3, 4] }));
    expect(fake.trained).toEqual([1, 2, 3, 4]);
  });

  test("is scored on the way only where that decides something", async () => {
    const one = { evalStrategy: "epoch", seeds: [1] } as const;
    await go(finalist({ ...one, key: "a" }));
    await go(finalist({ ...one, key: "b", loadBestModelAtEnd: true }));
    await go(finalist({ ...one, key: "c", earlyStoppingPatience: 2 }));
    expect(fake.evalStrategies).toEqual(["no", "epoch", "epoch"]);
  });

  test("of another winner shares nothing with what is stored, and its model replaces the other's", async () => {
    const folder = new Folder();
    await go(finalist(), folder);
    fake.accuracy = (seed) => -seed; // now seed 1 is best, and worse than all that is stored
    const other = await go(finalist({ key: "another" }), folder);
    expect(fake.trained).toEqual([1, 2, 3, 1, 2, 3]);
    expect(other.seeds.map((s) => s.test)).toEqual([-1, -2, -3]);
    expect(folder.mark).toBe("weights of 1");
    expect(folder.state).toMatchObject({
      global_step: 7,
      log_history: [{ step: 7, train_samples_per_second: 112 }],
    });
  });

  test("that diverged is neither scored nor saved, and is not tried again", async () => {
    fake.diverges.add(3).add(1);
    const folder = new Folder();
    for (let i = 0; i < 2; i++) {
      const { seeds, diverged } = await go(finalist(), folder);
      expect([seeds.map((s) => s.seed), diverged]).toEqual([[2], [1, 3]]);
    }
    expect(fake.scored).toEqual(["test 2"]);
    expect(folder.mark).toBe("weights of 2");
    expect(fake.trained).toEqual([1, 2, 3]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])(
    "whose loss on test is %d has diverged: the best on validation, and neither saved nor tried again",
    async (loss) => {
      fake.testLoss = (seed) => (seed === 3 ? loss : 0.1);
      const folder = new Folder();
      const events: SearchEvent[] = [];
      for (let i = 0; i < 2; i++) {
        const { seeds, diverged } = await go(finalist(), folder, (event) => events.push(event));
        expect([seeds.map((s) => s.seed), diverged]).toEqual([[1, 2], [3]]);
      }
      expect(await study.userAttr(seedKey(finalist(), 3))).toEqual({ seed: 3, diverged: true });
      expect(events).toHaveLength(3); // none of the second call
      expect(events[2]).toMatchObject({ type: "seedEnd", seed: 3, validation: null, finished: 3, total: 3 });
      expect(folder.mark).toBe("weights of 2");
      expect(fake.trained).toEqual([1, 2, 3]);
    },
  );

  test("that is stored writes the model where it is missing, from the best seed and without reading test", async () => {
    await go(finalist(), new Folder());
    fake.scored.length = 0;
    const elsewhere = new Folder();
    const { cache } = await go(finalist(), elsewhere);
    expect(elsewhere.mark).toBe("weights of 3");
    expect(cache).toEqual({ hits: 2, misses: 1, bytes: 1 });
    expect([fake.trained, fake.scored]).toEqual([[1, 2, 3, 3], []]);
    elsewhere.mark = "something else";
    await go(finalist(), elsewhere);
    await go(finalist(), elsewhere);
    expect(fake.trained).toEqual([1, 2, 3, 3, 3]);
  });
});

describe("retraining that is cut short", () => {
  const failed = new Error("no memory");
  /** What a call that nothing disturbs returns and leaves, in a study of its own. */
  async function undisturbed() {
    const [cut, folder] = [study, new Folder()];
    store = new MemoryStore();
    study = await newStudy();
    const { seeds, diverged } = await go(finalist(), folder);
    study = cut;
    Object.assign(fake, { trained: [], scored: [] });
    return { seeds, diverged, mark: folder.mark };
  }
  const stored = async () => {
    const all = await Promise.all([1, 2, 3].map((seed) => study.userAttr(seedKey(finalist(), seed))));
    return [1, 2, 3].filter((_, i) => all[i] !== undefined);
  };

  // Two lanes: seeds 1 and 2 train together, then 3.
  const failAt = (seed: number) => (at: number) => {
    if (at === seed) throw failed;
  };
  test.each([
    ["training the first group", [], [1, 2, 3], { beforeRun: ([seed]: number[]) => failAt(1)(seed!) }],
    ["scoring the second of a group", [1], [2, 3], { beforeScore: failAt(2) }],
    ["training the second group", [1, 2], [3], { beforeRun: ([seed]: number[]) => failAt(3)(seed!) }],
  ])(
    "by a throw while %s: seeds %j are stored, a second call trains %j",
    async (_, kept, again, disturbed) => {
      const whole = await undisturbed();
      const folder = new Folder();
      Object.assign(fake, disturbed);
      await expect(go(finalist(), folder)).rejects.toBe(failed);
      expect(await stored()).toEqual(kept);
      expect(fake.open).toBe(0); // sessions are given back

      Object.assign(fake, { beforeRun: () => {}, beforeScore: () => {}, trained: [] });
      const { seeds, diverged } = await go(finalist(), folder);
      expect(fake.trained).toEqual(again);
      expect({ seeds, diverged, mark: folder.mark }).toEqual(whole);
      expect(fake.scored.toSorted()).toEqual(["test 1", "test 2", "test 3"]);
    },
  );

  test.each([
    [1, [1], [2, 3]],
    [2, [1, 2], [3]],
  ])("by a stop after seed %j: %j are stored, a second call trains %j", async (after, kept, again) => {
    const whole = await undisturbed();
    const folder = new Folder();
    const stop = new AbortController();
    const reason = new Error("stopped by SIGINT");
    const onSeed = (event: SearchEvent) => {
      if (event.type === "seedEnd" && event.seed === after) stop.abort(reason);
    };
    await expect(go(finalist(), folder, onSeed, stop.signal)).rejects.toBe(reason);
    expect(await stored()).toEqual(kept);
    expect(folder.mark).toBe(`weights of ${after}`);
    expect(fake.open).toBe(0);

    fake.trained.length = 0;
    const { seeds, diverged } = await go(finalist(), folder);
    expect(fake.trained).toEqual(again);
    expect({ seeds, diverged, mark: folder.mark }).toEqual(whole);
    expect(fake.scored.toSorted()).toEqual(["test 1", "test 2", "test 3"]);
  });

  test("by a model that cannot be written: that seed is not stored, and is written by the second call", async () => {
    const folder = new Folder();
    const write = vi.spyOn(folder, "write").mockRejectedValueOnce(failed);
    await expect(go(finalist(), folder)).rejects.toBe(failed);
    expect(await stored()).toEqual([]);
    write.mockRestore();
    await go(finalist(), folder);
    expect([fake.trained, folder.mark]).toEqual([[1, 2, 1, 2, 3], "weights of 3"]);
  });
});

test("the key changes with rates, options of training and files, and not with what only the search knows", () => {
  const manifest = {
    model: "a",
    train: "b",
    num_train_epochs: 3,
    pooling: undefined,
    n_seeds: 5,
    n_trials: 30,
  };
  const key = trainingKey(rates, manifest);
  expect(trainingKey({ head: 1e-3, "layer.0": 1e-5 }, manifest)).toBe(key);
  expect(trainingKey(rates, { ...manifest, n_seeds: 6, n_trials: 99, sampler: "random" })).toBe(key);
  const others = [
    trainingKey({ ...rates, head: 0 }, manifest),
    trainingKey(rates, { ...manifest, num_train_epochs: 4 }),
    trainingKey(rates, { ...manifest, train: "c" }),
    trainingKey(rates, { ...manifest, pooling: "mean" }),
  ];
  expect(new Set([key, ...others]).size).toBe(5);
});

describe("the ledger of test", () => {
  const chosen = { perLayer: 3, uniform: 1, seeds: [1, 2] };
  const enter = (of: Study, seeds: string[], force = false, file = "file") =>
    enterTestRead(store, of, { chosen, seeds, file, force });

  test("enters a look once; another one needs force, and is counted", async () => {
    expect(await testWasRead(study)).toBe(false);
    const first = await enter(study, ["a 1", "a 2"]);
    expect(first).toHaveLength(1);
    expect(await testWasRead(study)).toBe(true);
    expect(await enter(study, ["a 2"])).toEqual(first);
    expect(await enter(study, ["a 1", "a 2"], true)).toEqual(first); // nothing is read: no look
    await expect(enter(study, ["a 1", "a 3"])).rejects.toMatchObject({
      code: "ERR_STORE_TEST_READ",
    });
    expect(await enter(study, ["a 1", "a 3"], true)).toHaveLength(2);
    expect(await enter(study, ["a 3", "a 2"])).toHaveLength(2);
  });

  test("counts the looks of other studies of the store at the same rows, and of those alone", async () => {
    const other = async (studyName: string, test: string) => {
      const made = await newStudy(studyName);
      await enter(made, ["x"], false, test);
      return made;
    };
    const same = await other("same rows", "rows");
    await other("other rows", "others");
    const now = await newStudy("now");
    const times = await enter(now, ["y"], false, "rows");
    const at = async (of: Study) => (await of.userAttr("permafrost:test_read_at")) as string[];
    expect(times).toEqual([...(await at(same)), ...(await at(now))].sort());
    expect(times).toHaveLength(2);
  });
});
