/** What every store must do: the exam of `src/study/store.ts`'s prose. A new store supplies a factory. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Store, TrialResult } from "../../src/study/store.js";
import type { Distribution } from "../../src/study/types.js";

const float: Distribution = { kind: "float", low: 1e-6, high: 1e-3, log: true };
const choice: Distribution = { kind: "categorical", choices: ["a", null, true, 1.5] };
const result = { params: { x: 1e-4, c: null }, distributions: { x: float, c: choice } } as const;

/** Ends one trial. */
export const finish = (store: Store, trialId: number, end: TrialResult) =>
  store.finishTrials(new Map([[trialId, end]]));

export function storeContract(name: string, open: () => Store | Promise<Store>): void {
  describe(`${name} store`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());
    const study = () =>
      store.createStudy({ studyName: "s", directions: ["maximize"], userAttrs: { a: [1, "é"] } });
    const running = async (id: number) =>
      (await store.createTrials(id, [{ state: "RUNNING", ...result }], (await store.trials(id)).length))![0]!;

    test("a study is found by name, with its attributes; the name is taken once", async () => {
      const made = await study();
      expect(await store.findStudy("s")).toEqual(made);
      expect(made).toMatchObject({ directions: ["maximize"], userAttrs: { a: [1, "é"] } });
      await expect(study()).rejects.toMatchObject({ code: "ERR_STORE_STUDY_EXISTS" });
      expect(await store.findStudy("other")).toBeNull();
      await store.setStudyAttrs(made.studyId, { user: { b: { deep: true } } });
      expect((await store.findStudy("s"))!.userAttrs).toEqual({ a: [1, "é"], b: { deep: true } });
    });

    test("numbers count up, and only for a caller who knew how many there were", async () => {
      const { studyId } = await study();
      expect(await store.createTrials(studyId, [{ state: "WAITING" }, { state: "WAITING" }], 0)).toHaveLength(
        2,
      );
      expect(await store.createTrials(studyId, [{ state: "WAITING" }], 0)).toBeNull();
      expect((await store.trials(studyId)).map((t) => [t.number, t.state])).toEqual([
        [0, "WAITING"],
        [1, "WAITING"],
      ]);
    });

    test("a finished trial reads back whole and never changes", async () => {
      const { studyId } = await study();
      const { trialId } = await running(studyId);
      await store.updateTrial(trialId, { intermediateValues: new Map([[1, Number.NaN]]) });
      await store.updateTrial(trialId, {
        intermediateValues: new Map([
          [1, 5],
          [2, 0.5],
        ]),
      });
      await finish(store, trialId, { state: "COMPLETE", value: 0.75, userAttrs: { seconds: 1.5 } });
      const [trial] = await store.trials(studyId);
      expect(trial).toMatchObject({
        state: "COMPLETE",
        value: 0.75,
        params: result.params,
        userAttrs: { seconds: 1.5 },
      });
      expect(trial!.distributions).toEqual(result.distributions);
      expect([...trial!.intermediateValues]).toEqual([
        [1, Number.NaN],
        [2, 0.5],
      ]);
      expect(trial!.datetimeComplete!.getTime()).toBeGreaterThanOrEqual(trial!.datetimeStart!.getTime());
      await expect(finish(store, trialId, { state: "FAIL", value: null })).rejects.toMatchObject({
        code: "ERR_STORE_TRIAL_FINISHED",
      });
      await expect(store.updateTrial(trialId, { userAttrs: { x: 1 } })).rejects.toMatchObject({
        code: "ERR_STORE_TRIAL_FINISHED",
      });
    });

    test("infinite values keep their sign", async () => {
      const { studyId } = await study();
      for (const value of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        await finish(store, (await running(studyId)).trialId, { state: "COMPLETE", value });
      }
      expect((await store.trials(studyId)).map((t) => t.value)).toEqual([
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
      ]);
    });

    test("a result that cannot be stored leaves the trial running and nothing behind", async () => {
      const { studyId } = await study();
      const { trialId } = await running(studyId);
      const bad = { state: "COMPLETE", value: 1, userAttrs: { ok: 1, bad: () => 0 } } as const;
      await expect(finish(store, trialId, bad)).rejects.toThrow();
      const [trial] = await store.trials(studyId);
      expect(trial).toMatchObject({ state: "RUNNING", value: null, userAttrs: {} });
    });

    test("trials that end together all end, or none does", async () => {
      const { studyId } = await study();
      const ids = [(await running(studyId)).trialId, (await running(studyId)).trialId];
      const good: TrialResult = { state: "COMPLETE", value: 1, userAttrs: { a: 1 } };
      const states = async () => (await store.trials(studyId)).map((t) => [t.state, t.value, t.userAttrs]);
      const before = await states();
      for (const bad of [
        { ...good, value: Number.NaN },
        { ...good, userAttrs: { bad: () => 0 } },
      ]) {
        const both = new Map([
          [ids[0]!, good],
          [ids[1]!, bad],
        ]);
        await expect(store.finishTrials(both)).rejects.toThrow();
        expect(await states()).toEqual(before);
      }
      await store.finishTrials(new Map(ids.map((id) => [id, good])));
      expect((await states()).map(([state]) => state)).toEqual(["COMPLETE", "COMPLETE"]);
    });

    test("a waiting trial is claimed once", async () => {
      const { studyId } = await study();
      const { trialId } = (await store.createTrials(studyId, [{ state: "WAITING" }], 0))![0]!;
      const claims = await Promise.all(Array.from({ length: 8 }, () => store.claimTrial(trialId, result)));
      expect(claims.filter(Boolean)).toHaveLength(1);
      expect((await store.trials(studyId))[0]).toMatchObject({ state: "RUNNING", params: result.params });
    });

    test("a waiting trial that holds parameters is claimed with those it then runs with", async () => {
      const { studyId } = await study();
      const [made] = (await store.createTrials(studyId, [{ state: "WAITING", ...result }], 0))!;
      const params = { x: 2e-4, c: "a" };
      expect(await store.claimTrial(made!.trialId, { ...result, params })).toBe(true);
      expect((await store.trials(studyId))[0]).toMatchObject({ state: "RUNNING", params });
    });

    test("an interrupted trial has one winner and one successor", async () => {
      const { studyId } = await study();
      const { trialId } = await running(studyId);
      const interrupt = () =>
        store.interruptTrial(
          trialId,
          { gone: true },
          { state: "WAITING", systemAttrs: { fixed_params: { x: 1e-4 } } },
        );
      expect([await interrupt(), await interrupt()]).toEqual([true, false]);
      expect((await store.trials(studyId)).map((t) => [t.state, t.systemAttrs])).toEqual([
        ["FAIL", { gone: true }],
        ["WAITING", { fixed_params: { x: 1e-4 } }],
      ]);
    });

    test("closed is closed, twice too", async () => {
      await store.close();
      await store.close();
      await expect(store.findStudy("s")).rejects.toMatchObject({ code: "ERR_STORE_CLOSED" });
    });
  });
}
