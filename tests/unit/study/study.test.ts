import { describe, expect, test } from "vitest";
import { MedianPruner } from "../../../src/study/pruners/median.js";
import { NonePruner } from "../../../src/study/pruners/none.js";
import { Rng } from "../../../src/study/rng.js";
import type { Sampler } from "../../../src/study/sampler.js";
import { RandomSampler } from "../../../src/study/samplers/random.js";
import { TpeSampler } from "../../../src/study/samplers/tpe.js";
import { activeDimensions } from "../../../src/study/space.js";
import { MemoryStore } from "../../../src/study/stores/memory.js";
import { armOf, Study, type StudyOptions } from "../../../src/study/study.js";
import type { Params, Space } from "../../../src/study/types.js";
import { spaceContains } from "./space-contains.js";

const space: Space = [
  { name: "kind", distribution: { kind: "categorical", choices: ["a", "b"] } },
  { name: "lr", distribution: { kind: "float", low: 1e-6, high: 1e-3, log: true } },
  { name: "depth", distribution: { kind: "int", low: 0, high: 6 } },
  {
    name: "only_b",
    distribution: { kind: "float", low: -1, high: 1, step: 0.25 },
    when: (p) => p.kind === "b",
  },
];
/** Best near lr = 3e-5, depth 2, and only_b = 0.5 of kind b. */
const objective = (p: Params) =>
  -((Math.log10(p.lr as number) + 4.52) ** 2) -
  ((p.depth as number) - 2) ** 2 / 10 -
  (p.kind === "b" ? ((p.only_b as number) - 0.5) ** 2 : 1);

const options = (store: MemoryStore, changes: Partial<StudyOptions> = {}): StudyOptions => ({
  store,
  studyName: "s",
  direction: "maximize",
  space,
  sampler: new TpeSampler(),
  pruner: new NonePruner(),
  seed: 7,
  nRandomTrials: 12,
  manifest: { data: "x" },
  metricName: "accuracy",
  ...changes,
});

async function runTo(study: Study, n: number): Promise<void> {
  while ((await study.planned()).filter((t) => t.state === "COMPLETE").length < n) {
    const trial = await study.ask();
    await trial.complete(objective(trial.params));
  }
}

const paramsOf = async (study: Study) => (await study.planned()).map((t) => t.params);

for (const [name, make] of [
  ["random", () => new RandomSampler()],
  ["tpe", () => new TpeSampler()],
] as [string, () => Sampler][]) {
  describe(`${name} sampler`, () => {
    test("every proposal has exactly the active dimensions, in range and on the grid", async () => {
      const study = await Study.create(options(new MemoryStore(), { sampler: make(), nRandomTrials: 0 }));
      await runTo(study, 60);
      for (const params of await paramsOf(study)) {
        expect(spaceContains(space, params)).toBe(true);
        expect(Object.keys(params)).toEqual(activeDimensions(space, params).map((d) => d.name));
      }
    });

    test("the same history and seed give the same proposals", async () => {
      const runs = [];
      for (let i = 0; i < 2; i++) {
        const study = await Study.create(options(new MemoryStore(), { sampler: make() }));
        await runTo(study, 30);
        runs.push(await paramsOf(study));
      }
      expect(runs[0]).toEqual(runs[1]);
    });

    test("takes failed, pruned, running and NaN-reporting trials in its history", async () => {
      const study = await Study.create(options(new MemoryStore(), { sampler: make(), nRandomTrials: 0 }));
      for (let i = 0; i < 40; i++) {
        const trial = await study.ask();
        if (i % 4 === 0) await trial.fail("nan_loss");
        else if (i % 4 === 1) {
          await trial.report(Number.NaN, 1);
          await trial.prune();
        } else if (i % 4 === 2) await trial.complete(objective(trial.params));
      }
      expect(await study.trials()).toHaveLength(40);
    });

    test("honours fixed values", () => {
      const params = make().propose(space, [], new Rng(1), {
        direction: "maximize",
        fixed: { kind: "b", depth: 4 },
      });
      expect(params).toMatchObject({ kind: "b", depth: 4, only_b: expect.any(Number) });
    });
  });
}

test("TPE finds better values than random draws on the same budget, in the median over seeds", async () => {
  const best = async (sampler: Sampler, seed: number) => {
    const study = await Study.create(options(new MemoryStore(), { sampler, seed, nRandomTrials: 10 }));
    await runTo(study, 60);
    return Math.max(...(await study.planned()).map((t) => t.value!));
  };
  const seeds = Array.from({ length: 15 }, (_, i) => i);
  const gains: number[] = [];
  for (const seed of seeds)
    gains.push((await best(new TpeSampler(), seed)) - (await best(new RandomSampler(), seed)));
  gains.sort((a, b) => a - b);
  expect(gains[7]).toBeGreaterThan(0);
});

describe("arms", () => {
  test("warm starts first, then the randomised arm, then the sampler; random draws ignore history", async () => {
    const study = await Study.create(options(new MemoryStore(), { nRandomTrials: 3 }));
    await study.queueFirst([
      { params: { kind: "a", lr: 5e-5, depth: 0 }, userAttrs: { warm_start: "uniform" } },
    ]);
    await runTo(study, 6);
    const trials = await study.planned();
    expect(trials.map(armOf)).toEqual(["warm-start", "random", "random", "random", "optimized", "optimized"]);
    expect(trials[0]).toMatchObject({
      params: { kind: "a", lr: 5e-5, depth: 0 },
      userAttrs: { warm_start: "uniform" },
    });
  });

  test("a queued trial whose values cannot be fails, says why, and holds nobody up", async () => {
    const store = new MemoryStore();
    const study = await Study.create(options(store, { nRandomTrials: 0 }));
    const queued = (params: Params) => ({ state: "WAITING" as const, systemAttrs: { fixed_params: params } });
    const { studyId } = (await store.findStudy("s"))!;
    await store.createTrials(
      studyId,
      [
        queued({ lr: 0 }),
        queued({ depth: 1.5 }),
        queued({ kind: "c" }),
        queued({ lr: "1e-4" }),
        queued({ depth: 9 }),
      ],
      0,
    );
    const trial = await study.ask();
    expect([trial.number, trial.params.depth]).toEqual([4, 9]); // out of the range, as Optuna lets it be
    await trial.complete(0.5);
    expect((await study.trials()).map((t) => [t.state, t.systemAttrs.fail_reason])).toMatchInlineSnapshot(`
      [
        [
          "FAIL",
          "lr: expected a number > 0 (log scale), received 0",
        ],
        [
          "FAIL",
          "depth: expected an integer, received 1.5",
        ],
        [
          "FAIL",
          "kind: expected one of ["a","b"], received "c"",
        ],
        [
          "FAIL",
          "lr: expected a finite number, received "1e-4"",
        ],
        [
          "COMPLETE",
          undefined,
        ],
      ]
    `);
    expect((await study.ask()).number).toBe(5);
  });

  test("a queue that is asked for in any order gives the same study", async () => {
    const start = { params: { kind: "a", lr: 5e-5, depth: 0 } };
    const params = [];
    for (const order of ["queued", "queued backwards"]) {
      const study = await Study.create(options(new MemoryStore(), { nRandomTrials: 8 }));
      expect([await study.queueFirst([start]), await study.queueFirst([start])]).toEqual([true, false]);
      const queue = await study.queued();
      expect(queue.map((t) => t.arm)).toEqual(["warm-start", ...Array(8).fill("random")]);
      for (const { trialId, params } of order === "queued" ? queue : queue.toReversed()) {
        const trial = await study.ask(trialId);
        expect([trial.trialId, trial.params]).toEqual([trialId, params]);
        await trial.complete(objective(trial.params));
      }
      await runTo(study, 14);
      params.push(await paramsOf(study)); // the sampler's proposals too: history goes by turns
    }
    expect(params[1]).toEqual(params[0]);
  });

  test("a study that somebody else began has its randomised arm too, drawn trial by trial", async () => {
    const study = await Study.create(options(new MemoryStore(), { nRandomTrials: 3 }));
    await runTo(study, 1);
    expect(await study.queueFirst([])).toBe(false);
    await runTo(study, 5);
    expect((await study.planned()).map(armOf)).toEqual([
      ...Array(3).fill("random"),
      "optimized",
      "optimized",
    ]);
  });

  test("only optimised trials are pruned", async () => {
    const study = await Study.create(
      options(new MemoryStore(), { nRandomTrials: 6, pruner: new MedianPruner({ nStartupTrials: 1 }) }),
    );
    await study.queueFirst([{ params: { kind: "a", lr: 5e-5, depth: 0 } }]);
    const verdicts = [];
    for (let i = 0; i < 10; i++) {
      const trial = await study.ask();
      await trial.report(-i, 1); // each is worse than all before it
      const verdict = await trial.shouldPrune();
      verdicts.push([trial.arm, verdict]);
      await (verdict ? trial.prune() : trial.complete(-i));
    }
    expect(verdicts).toEqual([
      ["warm-start", false],
      ...Array(6).fill(["random", false]),
      ...Array(3).fill(["optimized", true]),
    ]);
    expect((await study.trials()).slice(6).map((t) => [t.state, t.value])).toEqual([
      ["COMPLETE", -6],
      ["PRUNED", -7],
      ["PRUNED", -8],
      ["PRUNED", -9],
    ]);
  });
});

describe("resume", () => {
  test("what was running is queued once more; nothing finished is lost or run twice; the plan is met", async () => {
    const store = new MemoryStore();
    const first = await Study.create(options(store));
    await runTo(first, 5);
    const lost = await first.ask();
    const before = await first.trials();
    first[Symbol.dispose]();
    const second = await Study.resume(options(store), false);
    const again = await second.ask();
    expect(again.params).toEqual(lost.params);
    expect(again.number).toBe(6);
    await again.complete(0);
    await runTo(second, 14);
    const trials = await second.trials();
    expect(trials.slice(0, 5)).toEqual(before.slice(0, 5));
    expect(trials[5]).toMatchObject({ state: "FAIL", systemAttrs: { "permafrost:interrupted": true } });
    expect(trials[6]!.systemAttrs).toMatchObject({ failed_trial: 5, retry_history: [5] });
    expect((await second.planned()).filter((t) => armOf(t) === "random")).toHaveLength(12);
  });

  test("lost with its process too often, a trial stays FAIL; given back, it may be as often as one likes", async () => {
    const store = new MemoryStore();
    let study = await Study.create(options(store));
    const params = [];
    for (let i = 0; i < 8; i++) {
      const trial = await study.ask();
      params.push(trial.params);
      await study.release([trial]);
      await study.release([trial]); // no longer running: nothing happens
    }
    expect(new Set(params.map((p) => JSON.stringify(p))).size).toBe(1);
    expect((await study.trials()).map((t) => t.state)).toEqual([...Array(8).fill("FAIL"), "WAITING"]);
    const states = [];
    for (let i = 0; i < 7; i++) {
      await study.ask();
      study[Symbol.dispose]();
      study = await Study.resume(options(store), false);
      states.push((await study.planned()).map((t) => t.state).join());
    }
    expect(states).toEqual([...Array(5).fill("WAITING"), "FAIL", "FAIL,WAITING"]);
  });

  test("what somebody else runs is left to them, in this process too; both together run no more than was asked for", async () => {
    const store = new MemoryStore();
    const first = await Study.create(options(store));
    const running = await first.ask();
    const second = await Study.resume(options(store), false);
    expect([await second.runningElsewhere(), await first.runningElsewhere()]).toEqual([1, 0]);
    const other = await second.ask(undefined, 2);
    expect(other).not.toBeNull();
    expect(await first.ask(undefined, 2)).toBeNull();
    await running.complete(1);
    expect(await second.ask(undefined, 2)).toBeNull();
    await other!.complete(2);
    expect((await first.trials()).map((t) => t.state)).toEqual(["COMPLETE", "COMPLETE"]);
  });

  test("an attribute that only Python's JSON can write does not stop what was lost from running again", async () => {
    const store = new MemoryStore();
    using first = await Study.create(options(store));
    const waiting = {
      state: "WAITING" as const,
      userAttrs: { why: Number.NaN, seen: [1, Number.POSITIVE_INFINITY] },
    };
    await store.createTrials((await store.findStudy(first.name))!.studyId, [waiting], 0);
    await first.release([await first.ask()]);
    const [, again] = await first.trials();
    expect(again).toMatchObject({ state: "WAITING", userAttrs: { why: null, seen: [1, null] } });
  });

  test("changes what it may without --force, and does not count that as forced", async () => {
    const store = new MemoryStore();
    (await Study.create(options(store)))[Symbol.dispose]();
    const other = options(store, { manifest: { data: "y" }, mayChange: () => ["data"] });
    using study = await Study.resume(other, false);
    expect(await study.forcedResumes()).toEqual([]);
    await expect(Study.resume(options(store), false)).rejects.toThrowError(/expected "y", received "x"/);
  });

  test("refuses other data, naming what differs; --force takes it, and it is written down", async () => {
    const store = new MemoryStore();
    expect(await (await Study.create(options(store))).forcedResumes()).toEqual([]);
    const other = options(store, { manifest: { data: "y" } });
    await expect(Study.resume(other, false)).rejects.toThrowError(/data.*expected "x", received "y"/s);
    const forced = await Study.resume(other, true);
    expect(await forced.forcedResumes()).toEqual([{ at: expect.any(String), changed: ["data"] }]);
    await expect(Study.resume(options(store), false)).rejects.toThrowError(/expected "y", received "x"/);
    expect(await (await Study.resume(other, true)).forcedResumes()).toHaveLength(1);
    await expect(Study.create(options(store))).rejects.toMatchObject({ code: "ERR_STORE_STUDY_EXISTS" });
    await expect(Study.resume(options(store, { studyName: "other" }), false)).rejects.toMatchObject({
      code: "ERR_STORE_STUDY_MISSING",
    });
  });

  test("refuses another direction, and a dimension that changed, and leaves the study as it is", async () => {
    const store = new MemoryStore();
    using first = await Study.create(options(store));
    await runTo(first, 2);
    const before = await first.trials();
    await expect(Study.resume(options(store, { direction: "minimize" }), true)).rejects.toMatchObject({
      name: "StoreError",
      code: "ERR_STORE_DIRECTION",
      issues: [{ path: "memory: direction", expected: "minimize", received: "maximize" }],
    });
    const changed = space.map((d) =>
      d.name === "lr" ? { ...d, distribution: { kind: "float", low: 1e-6, high: 1e-3 } as const } : d,
    );
    await expect(Study.resume(options(store, { space: changed }), true)).rejects.toMatchObject({
      name: "ConfigError",
      code: "ERR_SPACE_CHANGED",
      issues: [{ path: "lr", expected: "log scale", received: "linear scale" }],
    });
    expect(await first.trials()).toEqual(before);
    // Ranges may change, and dimensions come and go: as in Optuna.
    const wider = { name: "lr", distribution: { kind: "float", low: 1e-8, high: 1, log: true } } as const;
    using _ = await Study.resume(options(store, { space: [wider] }), false);
  });

  test("NaN as a value makes a trial FAIL", async () => {
    const study = await Study.create(options(new MemoryStore()));
    await (await study.ask()).complete(Number.NaN);
    expect((await study.trials())[0]!.state).toBe("FAIL");
  });
});
