import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import type { Store } from "../../../src/study/store.js";
import { MemoryStore } from "../../../src/study/stores/memory.js";
import { SqliteStore } from "../../../src/study/stores/sqlite.js";
import { type Database, storeFault } from "../../../src/study/stores/sqlite-file.js";
import { finish, storeContract } from "../../contract/store.js";
import { pythonWith } from "../../python.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const fresh = () => path.join(folder, `study-${count++}.db`);
const open = (file: string) => SqliteStore.open(`sqlite:///${file}`);
/** Another process's view of the file. */
const connect = (file: string): Database =>
  new (createRequire(import.meta.url)("libsql") as new (file: string) => Database)(file);

storeContract("memory", () => new MemoryStore());
storeContract("sqlite", () => open(fresh()));

describe.each<[string, () => Store | Promise<Store>]>([
  ["memory", () => new MemoryStore()],
  ["sqlite", () => open(fresh())],
])("%s store", (_, make) => {
  test("trials that are created together all are, or none is", async () => {
    await using store = await make();
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const good = { state: "WAITING", userAttrs: { a: 1 } } as const;
    const bad = { state: "WAITING", userAttrs: { bad: () => 0 } } as const;
    await expect(store.createTrials(studyId, [good, bad], 0)).rejects.toThrow();
    expect(await store.trials(studyId)).toEqual([]);
    expect(await store.createTrials(studyId, [good, good], 0)).toMatchObject([
      { number: 0, trialId: 1, userAttrs: { a: 1 } },
      { number: 1, trialId: 2, userAttrs: { a: 1 } },
    ]);
  });

  test("a trial whose successor cannot be queued is not interrupted", async () => {
    await using store = await make();
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const before = (await store.createTrials(studyId, [{ state: "RUNNING" }], 0))!;
    const interrupt = (value: unknown) =>
      store.interruptTrial(before[0]!.trialId, { gone: true }, { state: "WAITING", userAttrs: { value } });
    await expect(interrupt(() => 0)).rejects.toThrow();
    expect(await store.trials(studyId)).toEqual(before);
    // Nobody sees the one without the other.
    const interrupted = interrupt(1);
    const states = (await store.trials(studyId)).map((t) => t.state).join();
    expect(["RUNNING", "FAIL,WAITING"]).toContain(states);
    expect(await interrupted).toBe(true);
  });

  test("a trial that is not there cannot change", async () => {
    await using store = await make();
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const [trial] = (await store.createTrials(studyId, [{ state: "RUNNING" }], 0))!;
    const end = { state: "COMPLETE", value: 1 } as const;
    const gone = {
      name: "StoreError",
      code: "ERR_STORE_TRIAL_GONE",
      issues: [{ path: store.url, expected: "trial_id 99", received: "no such trial" }],
    };
    await expect(store.updateTrial(99, { userAttrs: { a: 1 } })).rejects.toMatchObject(gone);
    await expect(store.interruptTrial(99, {}, { state: "WAITING" })).rejects.toMatchObject(gone);
    const both = new Map([
      [trial!.trialId, end],
      [99, end],
    ]);
    await expect(store.finishTrials(both)).rejects.toMatchObject(gone);
    expect(await store.trials(studyId)).toEqual([trial]);
  });

  test("a study's name has 1 to 512 characters of text", async () => {
    await using store = await make();
    for (const [studyName, received] of [
      ["", "nothing"],
      ["x".repeat(513), "513 characters"],
      ["a\0b", '"a\\u0000b"'],
      ["\ud800", '"\\ud800"'],
      ["\udc00\ud800", '"\\udc00\\ud800"'],
    ] as const)
      await expect(store.createStudy({ studyName, directions: ["minimize"] })).rejects.toMatchObject({
        code: "ERR_STORE_NAME",
        issues: [{ path: "study_name", received }],
      });
    expect(await store.studyNames()).toEqual([]);
    const names = ["x".repeat(512), "é \u{1f600} 'quoted'"];
    for (const studyName of names) await store.createStudy({ studyName, directions: ["minimize"] });
    expect(await store.studyNames()).toEqual(names);
  });
});

describe("an SQLite file", () => {
  test("survives its process: what was written reads back through a second store", async () => {
    const file = fresh();
    const first = await open(file);
    const { studyId } = await first.createStudy({ studyName: "kept", directions: ["minimize"] });
    await first.createTrials(studyId, [{ state: "WAITING", systemAttrs: { fixed_params: { a: 1 } } }], 0);
    const second = await open(file);
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
  ])("of %s is refused and left as it is", async (_, bytes, code) => {
    const file = fresh();
    writeFileSync(file, bytes);
    await expect(open(file)).rejects.toMatchObject({ code });
    expect(readFileSync(file)).toEqual(bytes);
  });

  test("that somebody else is making is waited for, without blocking the process", async () => {
    const file = fresh();
    const other = connect(file);
    other.exec("BEGIN EXCLUSIVE");
    let released = false;
    setTimeout(() => {
      released = true;
      other.exec("COMMIT");
    }, 200);
    await using store = await open(file);
    expect(released).toBe(true); // the timer ran while the opening waited
    expect(await store.studyNames()).toEqual([]);
    other.close();
  });

  test("of another schema is refused with what to do, and left as it is", async () => {
    const file = fresh();
    await (await open(file)).close();
    const text = readFileSync(file).toString("latin1");
    expect(text).toContain("v3.2.0.a");
    writeFileSync(file, Buffer.from(text.replaceAll("v3.2.0.a", "v9.9.9.a"), "latin1"));
    const before = readFileSync(file);
    await expect(open(file)).rejects.toThrowError(/expected v3\.2\.0\.a.*received v9\.9\.9\.a/s);
    expect(readFileSync(file)).toEqual(before);
  });

  test("with any page destroyed is refused, and left as it is", async () => {
    const file = fresh();
    const store = await open(file);
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const trials = Array.from({ length: 40 }, (_, i) => ({
      state: "WAITING" as const,
      userAttrs: { text: "x".repeat(500 + i) },
    }));
    await store.createTrials(studyId, trials, 0);
    await store.close();
    const whole = readFileSync(file);
    const size = whole.readUInt16BE(16);
    const pages = whole.length / size;
    expect(pages).toBeGreaterThan(20);
    // The first page says whose file it is.
    for (const page of [1, pages >> 1, pages - 1]) {
      const torn = Buffer.from(whole).fill(0xa5, page * size, (page + 1) * size);
      writeFileSync(file, torn);
      const refused = { name: "StoreError", code: "ERR_STORE_CORRUPT" };
      await expect(open(file), `page ${page}`).rejects.toMatchObject(refused);
      expect(readFileSync(file).equals(torn), `page ${page}`).toBe(true);
    }
    writeFileSync(file, whole);
    await using again = await open(file);
    expect(await again.trials(studyId)).toHaveLength(40);
  });

  test("that somebody else is writing is waited for, without blocking the process", async () => {
    const file = fresh();
    await using store = await open(file);
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const other = connect(file);
    other.exec("BEGIN IMMEDIATE");
    const started = performance.now();
    let released = Number.NaN;
    setTimeout(() => {
      other.exec("COMMIT");
      released = performance.now();
    }, 200);
    expect(await store.createTrials(studyId, [{ state: "WAITING" }], 0)).toHaveLength(1);
    expect(released - started).toBeGreaterThan(150); // the timer ran while the write waited
    expect(await store.trials(studyId)).toHaveLength(1);
    other.close();
  });

  test("that somebody else holds for more than a minute is an error, and the call can be made again", async () => {
    const file = fresh();
    await using store = await open(file);
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const other = connect(file);
    other.exec("BEGIN IMMEDIATE");
    let minutes = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => 61_000 * minutes++);
    const create = () => store.createTrials(studyId, [{ state: "WAITING" }], 0);
    await expect(create()).rejects.toMatchObject({
      code: "ERR_STORE_BUSY",
      issues: [{ path: store.url, expected: "the lock within 60 s" }],
    });
    clock.mockRestore();
    expect(await store.trials(studyId)).toEqual([]); // readers are not in the way
    other.exec("COMMIT");
    other.close();
    expect(await create()).toHaveLength(1);
  });

  test("that fails for another reason says so at once", async () => {
    const file = fresh();
    await using store = await open(file);
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const other = connect(file);
    other.exec("DROP TABLE trials");
    other.close();
    await expect(store.trials(studyId)).rejects.toMatchObject({
      name: "StoreError",
      code: "ERR_STORE",
      issues: [{ path: store.url, received: expect.stringContaining("no such table: trials") }],
    });
  });

  test("takes parameter and attribute names of 1 to 512 characters without NUL", async () => {
    await using store = await open(fresh());
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const distribution = { kind: "float", low: 0, high: 1 } as const;
    for (const [name, received] of [
      ["", "0 characters"],
      ["x".repeat(513), "513 characters"],
      ["a\0b", "3 characters with NUL"],
    ] as const) {
      const refused = { code: "ERR_STORE_NAME", issues: [{ received }] };
      const params = { params: { [name]: 0.5 }, distributions: { [name]: distribution } };
      await expect(store.setStudyAttrs(studyId, { user: { ok: 1, [name]: 1 } })).rejects.toMatchObject(
        refused,
      );
      for (const more of [params, { userAttrs: { [name]: 1 } }, { systemAttrs: { [name]: 1 } }])
        await expect(store.createTrials(studyId, [{ state: "RUNNING", ...more }], 0)).rejects.toMatchObject(
          refused,
        );
    }
    expect(await store.trials(studyId)).toEqual([]);
    expect((await store.findStudy("s"))!.userAttrs).toEqual({});
    const longest = "x".repeat(512);
    await store.createTrials(studyId, [{ state: "WAITING", userAttrs: { [longest]: 1 } }], 0);
    expect((await store.trials(studyId))[0]!.userAttrs).toEqual({ [longest]: 1 });
  });

  test("whose study is deleted while it runs says so", async () => {
    const file = fresh();
    await using store = await open(file);
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const [trial] = (await store.createTrials(studyId, [{ state: "RUNNING" }], 0))!;
    const other = connect(file);
    for (const table of ["trials", "study_directions", "studies"])
      other.exec(`DELETE FROM ${table} WHERE study_id = ${studyId}`);
    other.close();
    await expect(finish(store, trial!.trialId, { state: "COMPLETE", value: 1 })).rejects.toMatchObject({
      code: "ERR_STORE_TRIAL_GONE",
      issues: [{ hint: "was the study deleted while it ran?" }],
    });
    expect(await store.findStudy("s")).toBeNull();
  });

  test("refuses a value that has no form in its dimension, and keeps nothing of the trial", async () => {
    await using store = await open(fresh());
    const { studyId } = await store.createStudy({ studyName: "s", directions: ["maximize"] });
    const log = { kind: "float", low: 1, high: 9, log: true } as const;
    const int = { kind: "int", low: 1, high: 9 } as const;
    const choice = { kind: "categorical", choices: ["a", null] } as const;
    for (const [distribution, value, expected, received] of [
      [choice, "b", 'one of ["a",null]', '"b"'],
      [log, 0, "a number > 0 (log scale)", "0"],
      [log, "1", "a finite number", '"1"'],
      [int, 1.5, "an integer", "1.5"],
    ] as const) {
      const trial = { state: "RUNNING", params: { x: value }, distributions: { x: distribution } } as const;
      await expect(store.createTrials(studyId, [trial], 0)).rejects.toMatchObject({
        name: "ConfigError",
        code: "ERR_PARAM",
        issues: [{ path: "x", expected, received }],
      });
    }
    await expect(
      store.createTrials(studyId, [{ state: "RUNNING", params: { x: 1 } }], 0),
    ).rejects.toMatchObject({ code: "ERR_STORE_PARAM" });
    expect(await store.trials(studyId)).toEqual([]);
  });

  test("that finds no room on the disk says so, wherever SQLite notices", async () => {
    // As when the tables do not fit: SQLite has rolled back by itself.
    const require = createRequire(import.meta.url);
    const Libsql = require("libsql") as new (file: string) => Database;
    const cached = require.cache[require.resolve("libsql")]!;
    cached.exports = class extends Libsql {
      override exec(sql: string): unknown {
        if (!sql.includes("CREATE TABLE studies")) return super.exec(sql);
        super.exec("ROLLBACK");
        throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
      }
    };
    try {
      await expect(open(fresh())).rejects.toMatchObject({ code: "ERR_STORE_FULL" });
    } finally {
      cached.exports = Libsql;
    }
    // What it says of the log's index, beside the file.
    const index = { code: "SQLITE_IOERR_SHMSIZE", message: "disk I/O error" };
    expect(storeFault("sqlite:///x", index)).toMatchObject({
      code: "ERR_STORE_FULL",
      issues: [{ path: "sqlite:///x", expected: "room on the disk", received: "disk I/O error" }],
    });
    expect(storeFault("sqlite:///x", { ...index, code: "SQLITE_IOERR_READ" }).code).toBe("ERR_STORE");
  });

  test("in a folder that is not there is an error naming it", async () => {
    await expect(open(path.join(folder, "missing, not locked or BUSY", "x.db"))).rejects.toMatchObject({
      code: "ERR_STORE_OPEN",
    });
    await expect(SqliteStore.open("postgresql://x")).rejects.toMatchObject({ code: "ERR_STORE_URL" });
  });

  test("opens in Optuna unchanged: trials, best trial, importances, and it goes on", async (context) => {
    const python = pythonWith("optuna");
    if (!python) return context.skip("no Python with optuna (set PERMAFROST_PYTHON)");
    const file = fresh();
    const store = await open(file);
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
    const again = await open(copy);
    const trials = await again.trials(studyId);
    expect(trials.slice(25).map((t) => t.state)).toEqual(["COMPLETE", "COMPLETE"]);
    await again.close();
  });
});
