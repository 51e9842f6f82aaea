/** An arm with a trainer that is made up: which trials share a session, what they report, what a stop leaves. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { SearchEvent } from "../../../src/events.js";
import { type ArmSearchOptions, searchArm } from "../../../src/search/arm-search.js";
import { choiceOf } from "../../../src/search/choice.js";
import { stepCost } from "../../../src/search/grouping.js";
import { layerSpace } from "../../../src/search/space.js";
import { MedianPruner } from "../../../src/study/pruners/median.js";
import { TpeSampler } from "../../../src/study/samplers/tpe.js";
import { MemoryStore } from "../../../src/study/stores/memory.js";
import { armOf, Study, type StudyOptions } from "../../../src/study/study.js";
import type { LayerRates } from "../../../src/train/layer-rates.js";
import type { Task } from "../../../src/train/task.js";

interface Lane {
  readonly rates: LayerRates;
}
interface Hooks {
  onEvaluation(lane: number, scored: object): Promise<"prune" | undefined>;
}

const fake = vi.hoisted(() => ({
  sessions: [] as Lane[][],
  options: [] as { evalStrategy: string }[],
  before: (): void => {},
}));

/** Accuracy of a configuration, and of its half and whole way there. */
const accuracy = (rates: LayerRates) =>
  1 / (1 + (Math.log10(rates.head!) + 3) ** 2 + Math.abs(stepCost(rates) - 5));

vi.mock("../../../src/train/trainer.js", () => ({
  Trainer: {
    open: async (_task: unknown, options: { evalStrategy: string }, lanes: Lane[]) => {
      fake.sessions.push(lanes);
      fake.options.push(options);
      const evaluations = lanes.map((): object[] => []);
      return {
        totalSteps: 6,
        totals: { cache: { hits: 2, misses: 1, bytes: lanes.length } },
        evaluations: (lane: number) => evaluations[lane],
        run: async (hooks: Hooks, signal: AbortSignal) => {
          const states = lanes.map(() => "completed");
          // Three evaluations in one epoch: eval_strategy steps.
          for (const step of options.evalStrategy === "no" ? [6] : [2, 4, 6]) {
            fake.before();
            signal.throwIfAborted();
            for (const [i, { rates }] of lanes.entries()) {
              if (states[i] === "pruned") continue;
              const scored = { step, epoch: step / 6, accuracy: (accuracy(rates) * step) / 6, loss: 1 };
              evaluations[i]!.push(scored);
              if ((await hooks.onEvaluation(i, scored)) === "prune") states[i] = "pruned";
            }
          }
          const cost = { seconds: 1, flops: 2, trainedParameters: 3, best: { epoch: 0.5 } };
          return states.map((state, i) => ({ state, evaluations: evaluations[i], ...cost }));
        },
        [Symbol.asyncDispose]: async () => {},
      };
    },
  },
}));

const groups = ["embeddings", "layer.0", "layer.1", "layer.2", "head"];
const task = { groups } as unknown as Task;
const space = layerSpace(groups, {
  ...{ learningRateRange: [1e-6, 1e-3], headLearningRateRange: [1e-5, 1e-2], lrOffset: 1 },
});
const studyOptions = (store: MemoryStore): StudyOptions => ({
  ...{ store, space, studyName: "s", direction: "maximize", manifest: {}, metricName: "x" },
  ...{ sampler: new TpeSampler(), pruner: new MedianPruner({ nStartupTrials: 5, nWarmupSteps: 1 }) },
  ...{ seed: 3, nRandomTrials: 12 },
});
const options = (changes: Partial<ArmSearchOptions> = {}) =>
  ({
    ...{ phase: "search", nTrials: 30, lanes: 2, seed: 3, deadline: Number.POSITIVE_INFINITY },
    ...{ pruner: "median", evalStrategy: "steps", isOver: async () => false, ...changes },
  }) as ArmSearchOptions;

async function search(changes: Partial<ArmSearchOptions> = {}, study?: Study, signal?: AbortSignal) {
  const used = study ?? (await Study.create(studyOptions(new MemoryStore())));
  await used.queueFirst([]);
  await searchArm(used, task, options(changes), () => {}, signal ?? new AbortController().signal);
  return used;
}
const valuesOf = async (study: Study) =>
  (await study.planned()).map((t) => [armOf(t), t.state, t.value, t.params]);

beforeEach(() => {
  Object.assign(fake, { sessions: [], options: [], before: () => {} });
});

describe("an arm", () => {
  test("runs random trials of similar cost together; their results are those of any other grouping", async () => {
    const [two, four] = [await search({ lanes: 2 }), await search({ lanes: 4 })];
    const random = async (study: Study) => (await valuesOf(study)).slice(0, 12);
    expect(await random(two)).toEqual(await random(four));
    const spread = (sessions: Lane[][]) => {
      const costs = sessions.map((lanes) => lanes.map(({ rates }) => stepCost(rates)));
      return costs.reduce((sum, c) => sum + Math.max(...c) - Math.min(...c), 0);
    };
    const inTurn = (await two.planned())
      .slice(0, 12)
      .map((t) => ({ rates: t.userAttrs.rates as LayerRates }));
    const pairs = Array.from({ length: 6 }, (_, i) => inTurn.slice(2 * i, 2 * i + 2));
    expect(spread(fake.sessions.slice(0, 6))).toBeLessThan(spread(pairs) / 2);
  });

  test("proposes the same again with the same lanes; optimised trials are pruned, others never", async () => {
    const [one, two] = [await search(), await search()];
    expect(await valuesOf(one)).toEqual(await valuesOf(two));
    const pruned = (await one.planned()).filter((t) => t.state === "PRUNED");
    expect(pruned.length).toBeGreaterThan(0);
    expect(new Set(pruned.map(armOf))).toEqual(new Set(["optimized"]));
    expect(await choiceOf(one)).toMatchObject({ trials: 30, best: { value: expect.any(Number) } });
  });

  test("reports every evaluation by its count, also those within one epoch", async () => {
    const study = await search({ nTrials: 12 });
    for (const trial of await study.planned()) expect([...trial.intermediateValues.keys()]).toEqual([1, 2]);
  });

  test("scores a trial where something is decided: by early stopping each time, by the pruner at rungs, else at its end", async () => {
    const strategy = async (changes: Partial<ArmSearchOptions>) => {
      fake.options = [];
      await search({ nTrials: 2, ...changes });
      return fake.options[0]!.evalStrategy;
    };
    const epoch = { evalStrategy: "epoch" } as const;
    expect(await strategy({ pruner: "none" })).toBe("no");
    expect(await strategy({ pruner: "none", earlyStoppingPatience: 2 })).toBe("steps");
    expect(await strategy({})).toBe("steps");
    expect(await strategy(epoch)).toBe("rungs");
    expect(await strategy({ ...epoch, earlyStoppingPatience: 2 })).toBe("epoch");
    expect(await strategy({ ...epoch, pruner: "none" })).toBe("no");
  });

  test("an epoch is the best of a trial only where all were scored on the same rows", async () => {
    const bestEpochs = async (changes: Partial<ArmSearchOptions>) =>
      new Set(
        (await (await search({ nTrials: 12, ...changes })).planned()).map((t) => t.userAttrs.best_epoch),
      );
    expect(await bestEpochs({})).toEqual(new Set([0.5]));
    expect(await bestEpochs({ evalStrategy: "epoch" })).toEqual(new Set([null]));
  });

  test("adds up what its sessions read of the frozen prefix's cache, and says how large that was", async () => {
    const study = await Study.create(studyOptions(new MemoryStore()));
    const used = await searchArm(
      study,
      task,
      options({ nTrials: 5 }),
      () => {},
      new AbortController().signal,
    );
    const sessions = fake.sessions.length;
    expect(used).toEqual({ hits: 2 * sessions, misses: sessions, bytes: 2 });
  });

  test("asks for a quarter of the proposals at once, however many lanes there are: a blind draw finds nothing", async () => {
    const sizes = async (changes: Partial<ArmSearchOptions>) => {
      fake.sessions = [];
      await search(changes);
      return fake.sessions.map((lanes) => lanes.length);
    };
    expect(await sizes({ lanes: 16 })).toEqual([12, 4, 4, 4, 4, 2]);
    expect(await sizes({ lanes: 16, nTrials: 16 })).toEqual([12, 2, 2]);
    expect(await sizes({ lanes: 1, nTrials: 14 })).toEqual(Array(14).fill(1));
  });

  test("waits for trials that another runs instead of running more than were asked for", async () => {
    const store = new MemoryStore();
    const study = await Study.create(studyOptions(store));
    await study.queueFirst([]);
    const other = await Study.resume(studyOptions(store), false);
    const theirs = await other.ask();
    const events: SearchEvent[] = [];
    const { signal } = new AbortController();
    const ours = searchArm(study, task, options({ nTrials: 12 }), (event) => events.push(event), signal);
    await vi.waitFor(() => expect(events.at(-1)).toMatchObject({ type: "notice" }));
    expect(await choiceOf(study)).toMatchObject({ trials: 11 });
    await theirs.complete(0);
    await ours;
    expect((await study.trials()).map((t) => t.state)).toEqual(Array(12).fill("COMPLETE"));
  });

  test("after its time waits for what another runs, and starts nothing; nor once the choice was made", async () => {
    const store = new MemoryStore();
    const study = await Study.create(studyOptions(store));
    await study.queueFirst([]);
    const theirs = await (await Study.resume(studyOptions(store), false)).ask();
    const events: SearchEvent[] = [];
    const { signal } = new AbortController();
    const late = options({ deadline: performance.now() - 1 });
    const ours = searchArm(study, task, late, (event) => events.push(event), signal);
    await vi.waitFor(() => expect(events.at(-1)).toMatchObject({ type: "notice" }));
    await theirs.complete(0);
    await ours;
    expect(await choiceOf(study)).toMatchObject({ trials: 1 });
    await search({ isOver: async () => true }, study);
    expect(await choiceOf(study)).toMatchObject({ trials: 1 });
  });

  test("that fails queues what it ran once more, as lost: for whoever goes on, also while this process lives", async () => {
    const store = new MemoryStore();
    const study = await Study.create(studyOptions(store));
    fake.before = () => {
      throw new Error("no memory");
    };
    await expect(search({}, study)).rejects.toThrow("no memory");
    fake.before = () => {};
    const waiting = (await study.trials()).filter((t) => t.state === "WAITING");
    expect(waiting.flatMap((t) => t.systemAttrs.retry_history ?? [])).toHaveLength(2);
    expect(await choiceOf(await search({}, await Study.resume(studyOptions(store), false)))).toMatchObject({
      trials: 30,
    });
  });

  test("starts no trial after its time", async () => {
    const study = await search({ deadline: performance.now() - 1 });
    expect(await choiceOf(study)).toEqual({ trials: 0, best: null });
  });
});

test("stopped again and again at every moment, it ends as it would have, and no stop counts against a trial", async () => {
  const whole = await valuesOf(await search());
  const store = new MemoryStore();
  let study = await Study.create(studyOptions(store));
  for (let stops = 0; ; stops++) {
    const stop = new AbortController();
    let moments = 0;
    fake.before = () => {
      if (moments++ === (stops < 7 ? 1 : stops % 5)) stop.abort(new Error("stopped"));
    };
    try {
      await search({}, study, stop.signal);
      break;
    } catch (error) {
      expect(error).toMatchObject({ message: "stopped" });
      const states = (await study.planned()).map((t) => t.state);
      expect(states).not.toContain("RUNNING");
      expect(states).not.toContain("FAIL");
    }
    if (stops > 60) fake.before = () => {};
    expect(stops).toBeLessThan(200);
    study = await Study.resume(studyOptions(store), false);
  }
  expect(await valuesOf(study)).toEqual(whole);
});
