import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { MemoryStore } from "../../../src/study/stores/memory.js";
import { SqliteStore } from "../../../src/study/stores/sqlite.js";
import { finish, storeContract } from "../../contract/store.js";
import { pythonWith } from "../../python.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const fresh = () => path.join(folder, `study-${count++}.db`);
const open = (file: string) => SqliteStore.open(`sqlite:///${file}`);

storeContract("memory", () => new MemoryStore());
storeContract("sqlite", () => open(fresh()));

describe("an SQLite file", () => {
  test("survives its process: what was written reads back through a second store", async () => {
    const file = fresh();
    const first = open(file);
    const { studyId } = await first.createStudy({ studyName: "kept", directions: ["minimize"] });
    await first.createTrials(studyId, [{ state: "WAITING", systemAttrs: { fixed_params: { a: 1 } } }], 0);
    const second = open(file);
    expect(await second.trials(studyId)).toEqual(await first.trials(studyId));
    await first.close();
    await second.close();
  });

  test.each([
    [
      "text",
      Buffer.from("this is no database, and long enough to be looked at ".repeat(40)),
      "ERR_STORE_NOT_A_STUDY",
    ],
  ])("of %s is refused and left as it is", (_, bytes, code) => {
    const file = fresh();
    writeFileSync(file, bytes);
    expect(() => open(file)).toThrowError(expect.objectContaining({ code }));
    expect(readFileSync(file)).toEqual(bytes);
  });

  test("of another schema is refused with what to do, and left as it is", async () => {
    const file = fresh();
    await open(file).close();
    const text = readFileSync(file).toString("latin1");
    expect(text).toContain("v3.2.0.a");
    writeFileSync(file, Buffer.from(text.replaceAll("v3.2.0.a", "v9.9.9.a"), "latin1"));
    const before = readFileSync(file);
    expect(() => open(file)).toThrowError(/expected v3\.2\.0\.a.*received v9\.9\.9\.a/s);
    expect(readFileSync(file)).toEqual(before);
  });

  test("in a folder that is not there is an error naming it", () => {
    expect(() => open(path.join(folder, "missing", "x.db"))).toThrowError(
      expect.objectContaining({ code: "ERR_STORE_OPEN" }),
    );
    expect(() => SqliteStore.open("postgresql://x")).toThrowError(
      expect.objectContaining({ code: "ERR_STORE_URL" }),
    );
  });

  test("opens in Optuna unchanged: trials, best trial, importances, and it goes on", async (context) => {
    const python = pythonWith("optuna");
    if (!python) return context.skip("no Python with optuna (set PERMAFROST_PYTHON)");
    const file = fresh();
    const store = open(file);
    const { studyId } = await store.createStudy({
      studyName: "s",
      directions: ["maximize"],
      systemAttrs: { "study:metric_names": ["accuracy"] },
    });
    const lr = { kind: "float", low: 1e-6, high: 1e-3, log: true } as const;
    const depth = { kind: "int", low: 0, high: 6 } as const;
    for (let i = 0; i < 24; i++) {
      const params = { lr: 10 ** (-6 + (i % 12) / 4), depth: i % 7 };
      const [trial] = (await store.createTrials(
        studyId,
        [{ state: "RUNNING", params, distributions: { lr, depth } }],
        i,
      ))!;
      await store.updateTrial(trial!.trialId, {
        intermediateValues: new Map([
          [1, 0.5],
          [2, Number.NaN],
        ]),
      });
      const state = i % 6 === 5 ? "PRUNED" : i % 6 === 4 ? "FAIL" : "COMPLETE";
      await finish(store, trial!.trialId, {
        state,
        value: state === "FAIL" ? null : i / 24 - depth.high / 100,
      });
    }
    await store.createTrials(
      studyId,
      [{ state: "WAITING", systemAttrs: { fixed_params: { lr: 1e-5 } } }],
      24,
    );
    await store.close();
    const copy = `${file}.copy`;
    copyFileSync(file, copy);
    const script = path.join(import.meta.dirname, "../../golden/optuna_open.py");
    const seen = JSON.parse(
      execFileSync(python, [script, `sqlite:///${copy}`], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      })
        .trim()
        .split("\n")
        .at(-1)!,
    );
    expect(seen).toMatchObject({
      trials: 25,
      states: { COMPLETE: 16, PRUNED: 4, FAIL: 4, WAITING: 1 },
      best_number: 21,
      metric_names: ["accuracy"],
      importances: ["depth", "lr"],
      waiting_popped: { lr: 1e-5 },
    });
    expect(seen.best_params).toEqual({ lr: 10 ** (-6 + 9 / 4), depth: 0 });
    const again = open(copy);
    const trials = await again.trials(studyId);
    expect(trials.slice(25).map((t) => t.state)).toEqual(["COMPLETE", "COMPLETE"]);
    await again.close();
  });
});
