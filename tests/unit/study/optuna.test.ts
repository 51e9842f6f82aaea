/** A study that Optuna made (tests/golden/optuna.db, by optuna_study.py): read as it is, and gone on with. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { NonePruner } from "../../../src/study/pruners/none.js";
import { RandomSampler } from "../../../src/study/samplers/random.js";
import { SqliteStore } from "../../../src/study/stores/sqlite.js";
import { Study, type StudyOptions } from "../../../src/study/study.js";
import type { Space, TrialRecord } from "../../../src/study/types.js";

const fixture = path.join(import.meta.dirname, "../../golden/optuna.db");
const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-optuna-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let store: SqliteStore;
let count = 0;
beforeEach(async () => {
  const file = path.join(folder, `${count++}.db`);
  copyFileSync(fixture, file);
  store = await SqliteStore.open(`sqlite:///${file}`);
});
afterEach(() => store.close());

const lr = { kind: "float", low: 1e-6, high: 1e-3, log: true } as const;
const dropout = { kind: "float", low: 0, high: 0.5, step: 0.125 } as const;
const depth = { kind: "int", low: 0, high: 12, step: 3 } as const;
const batch = { kind: "int", low: 2, high: 128, log: true } as const;
const mode = { kind: "categorical", choices: [null, true, 1.5, "a"] } as const;
const distributions = { lr, dropout, depth, batch, mode };
const space: Space = Object.entries(distributions).map(([name, distribution]) => ({ name, distribution }));

/** The generator's clock: second `s` of three in the morning, UTC. */
const second = (s: number) => new Date(Date.UTC(2026, 2, 1, 3, 0, s, 250));
const nothing = { intermediateValues: new Map(), userAttrs: {}, systemAttrs: {} };
const expected: readonly TrialRecord[] = [
  {
    number: 0,
    trialId: 1,
    state: "COMPLETE",
    value: 0.75,
    params: { lr: 1e-4, dropout: 0.25, depth: 6, batch: 16, mode: null },
    distributions,
    intermediateValues: new Map([
      [1, 0.5],
      [2, Number.NaN],
      [3, Number.POSITIVE_INFINITY],
      [7, Number.NEGATIVE_INFINITY],
      [10, 0.625],
    ]),
    userAttrs: {
      note: 'é "quoted" \n',
      seconds: 1.5,
      curve: [0.5, Number.NaN, Number.POSITIVE_INFINITY],
      big: 2n ** 60n,
    },
    systemAttrs: {},
    datetimeStart: second(1),
    datetimeComplete: second(2),
  },
  {
    ...nothing,
    number: 1,
    trialId: 2,
    state: "PRUNED",
    value: 0.125,
    params: { lr: 2.5e-5, dropout: 0, depth: 12, batch: 128, mode: true },
    distributions,
    intermediateValues: new Map([
      [1, 0.25],
      [2, 0.125],
    ]),
    datetimeStart: second(3),
    datetimeComplete: second(4),
  },
  {
    ...nothing,
    number: 2,
    trialId: 3,
    state: "FAIL",
    value: null,
    params: { lr: 1e-3, dropout: 0.5, depth: 0, batch: 2, mode: 1.5 },
    distributions,
    datetimeStart: second(5),
    datetimeComplete: second(6),
  },
  {
    ...nothing,
    number: 3,
    trialId: 4,
    state: "COMPLETE",
    value: Number.POSITIVE_INFINITY,
    params: { lr: 1e-6, dropout: 0.375, depth: 3, batch: 3, mode: "a" },
    distributions,
    datetimeStart: second(7),
    datetimeComplete: second(8),
  },
  {
    ...nothing,
    number: 4,
    trialId: 5,
    state: "COMPLETE",
    value: -0.5,
    params: { uniform: 0.5, loguniform: 1e-5, discrete: 0.75, int: 4, intlog: 8 },
    distributions: {
      uniform: { kind: "float", low: -1, high: 1 },
      loguniform: { kind: "float", low: 1e-6, high: 1e-3, log: true },
      discrete: { kind: "float", low: 0, high: 1, step: 0.25 },
      int: { kind: "int", low: 0, high: 12, step: 2 },
      intlog: { kind: "int", low: 1, high: 64, log: true },
    },
    datetimeStart: second(9),
    datetimeComplete: second(10),
  },
  {
    ...nothing,
    number: 5,
    trialId: 6,
    state: "RUNNING",
    value: null,
    params: { lr: 1e-5 },
    distributions: { lr },
    intermediateValues: new Map([[0, 0.5]]),
    datetimeStart: second(11),
    datetimeComplete: null,
  },
  {
    ...nothing,
    number: 6,
    trialId: 7,
    state: "WAITING",
    value: null,
    params: {},
    distributions: {},
    userAttrs: { why: "a guess" },
    systemAttrs: { fixed_params: { lr: 5e-5, mode: "a" } },
    datetimeStart: null,
    datetimeComplete: null,
  },
];

const options = (changes: Partial<StudyOptions> = {}): StudyOptions => ({
  store,
  studyName: "by optuna",
  direction: "maximize",
  space,
  sampler: new RandomSampler(),
  pruner: new NonePruner(),
  seed: 7,
  nRandomTrials: 1,
  manifest: {},
  metricName: "accuracy",
  ...changes,
});

describe("Optuna's study", () => {
  test("is read whole: the study, and every trial with the values, times and attributes Optuna wrote", async () => {
    expect(await store.studyNames()).toEqual(["by optuna"]);
    expect(await store.findStudy("by optuna")).toEqual({
      studyId: 1,
      studyName: "by optuna",
      directions: ["maximize"],
      userAttrs: { data: { rows: 12, name: "é" } },
      systemAttrs: { "study:metric_names": ["accuracy"] },
    });
    const trials = await store.trials(1);
    expect(trials).toStrictEqual(expected);
    // In Optuna's order, which equality does not see.
    for (const [i, trial] of trials.entries()) {
      expect(Object.keys(trial.params)).toEqual(Object.keys(expected[i]!.params));
      expect([...trial.intermediateValues.keys()]).toEqual([...expected[i]!.intermediateValues.keys()]);
    }
  });

  test("goes on: the trial it enqueued comes first, then ours; what was there stays as it was", async () => {
    using study = await Study.resume(options(), false);
    const queued = await study.ask();
    expect(queued).toMatchObject({ number: 6, trialId: 7, arm: "warm-start" });
    expect(queued.params).toEqual({
      lr: 5e-5,
      dropout: expect.any(Number),
      depth: expect.any(Number),
      batch: expect.any(Number),
      mode: "a",
    });
    await queued.report(0.5, 1);
    await queued.complete(0.875);
    const ours = await study.ask();
    expect(ours).toMatchObject({ number: 7, trialId: 8, arm: "random" });
    await ours.complete(0.25);
    const trials = await study.trials();
    expect(trials.slice(0, 6)).toStrictEqual(expected.slice(0, 6));
    expect(trials[6]).toMatchObject({
      state: "COMPLETE",
      value: 0.875,
      params: queued.params,
      distributions,
      userAttrs: { why: "a guess", arm: "warm-start" },
      systemAttrs: { fixed_params: { lr: 5e-5, mode: "a" } },
    });
    expect(trials[7]).toMatchObject({ state: "COMPLETE", value: 0.25, distributions });
    expect(trials).toHaveLength(8);
  });

  test("has no manifest of ours: one is expected only by force", async () => {
    const manifest = { data: "x" };
    await expect(Study.resume(options({ manifest }), false)).rejects.toThrowError(
      /data.*expected nothing, received "x"/s,
    );
    using study = await Study.resume(options({ manifest }), true);
    expect(await study.forcedResumes()).toEqual([{ at: expect.any(String), changed: ["data"] }]);
    expect(await study.userAttr("data")).toEqual({ rows: 12, name: "é" });
  });

  test("keeps its space: other choices, another scale and another kind are refused, another range is not", async () => {
    const changed = (name: string, distribution: Space[number]["distribution"]) =>
      Study.resume(
        options({ space: space.map((d) => (d.name === name ? { name, distribution } : d)) }),
        false,
      );
    const refused = (name: string, expected: string, received: string) => ({
      code: "ERR_SPACE_CHANGED",
      issues: [{ path: name, expected, received, hint: "start a new study for a new space" }],
    });
    await expect(changed("lr", { ...lr, log: false })).rejects.toMatchObject(
      refused("lr", "log scale", "linear scale"),
    );
    await expect(changed("depth", { kind: "int", low: 1, high: 12, log: true })).rejects.toMatchObject(
      refused("depth", "linear scale", "log scale"),
    );
    await expect(changed("batch", { ...batch, kind: "float" })).rejects.toMatchObject(
      refused("batch", "kind int", "kind float"),
    );
    for (const choices of [
      [null, true, 1.5],
      [true, null, 1.5, "a"],
      [null, true, 1.5, "b"],
    ])
      await expect(changed("mode", { kind: "categorical", choices })).rejects.toMatchObject(
        refused("mode", 'choices [null,true,1.5,"a"]', JSON.stringify(choices)),
      );
    using _ = await changed("lr", { ...lr, low: 1e-8, high: 1 });
  });

  test("with a choice enqueued that there is not: it fails when its turn comes, and the next one runs", async () => {
    await store.claimTrial(7);
    await store.createTrials(1, [{ state: "WAITING", systemAttrs: { fixed_params: { mode: "b" } } }], 7);
    using study = await Study.resume(options(), false);
    expect((await study.ask()).number).toBe(8);
    expect((await study.trials())[7]).toMatchObject({
      ...{ state: "FAIL", params: {} },
      systemAttrs: { fail_reason: 'mode: expected one of [null,true,1.5,"a"], received "b"' },
    });
  });
});

test("the fixture is small, and no test has written to it", () => {
  const bytes = readFileSync(fixture);
  expect(bytes.length).toBeLessThan(200_000);
  expect([...bytes.subarray(18, 20)]).toEqual([1, 1]); // not in WAL mode: as Optuna, not we, would leave it
});
