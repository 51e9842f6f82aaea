/** A study in an SQLite file, in Optuna's own schema: Optuna opens it unchanged, and we open Optuna's. */

import { StoreError } from "../../errors.js";
import { toExternal, toInternal } from "../distribution.js";
import { distributionFromJson, distributionToJson } from "../distribution-json.js";
import { readJson, writeJson } from "../json.js";
import type { Attrs, NewStudy, NewTrial, Store, StoredStudy, TrialResult, TrialUpdate } from "../store.js";
import type { Direction, Distribution, ParamValue, TrialRecord, TrialState } from "../types.js";
import {
  checkKey,
  checkStudyName,
  checkValue,
  storeClosed,
  studyExists,
  trialFinished,
  trialGone,
} from "./errors.js";
import { type Database, inTransaction, openDatabase, whenFree } from "./sqlite-file.js";

type Row = Record<string, unknown>;

const isFinished = (state: TrialState) => state === "COMPLETE" || state === "PRUNED" || state === "FAIL";

export class SqliteStore implements Store {
  #database: Database | null;
  /** Finished trials never change: read once. By study, by trial id. */
  readonly #finished = new Map<number, Map<number, TrialRecord>>();

  private constructor(
    readonly url: string,
    database: Database,
  ) {
    this.#database = database;
  }

  /** @throws StoreError as `openDatabase`. */
  static async open(url: string, signal?: AbortSignal): Promise<SqliteStore> {
    return new SqliteStore(url, await openDatabase(url, signal));
  }

  async createStudy({
    studyName,
    directions,
    userAttrs = {},
    systemAttrs = {},
  }: NewStudy): Promise<StoredStudy> {
    checkStudyName(studyName);
    return this.#transaction((db) => {
      if (db.prepare("SELECT 1 AS one FROM studies WHERE study_name = ?").get(studyName))
        throw studyExists(this.url, studyName);
      const studyId = Number(
        db.prepare("INSERT INTO studies (study_name) VALUES (?)").run(studyName).lastInsertRowid,
      );
      for (const [objective, direction] of directions.entries()) {
        db.prepare("INSERT INTO study_directions (direction, study_id, objective) VALUES (?, ?, ?)").run(
          direction.toUpperCase(),
          studyId,
          objective,
        );
      }
      setAttrs(db, "study_user", studyId, userAttrs);
      setAttrs(db, "study_system", studyId, systemAttrs);
      return this.#readStudy(db, studyId);
    });
  }

  async findStudy(studyName: string): Promise<StoredStudy | null> {
    return this.#read((db) => {
      const row = db.prepare("SELECT study_id FROM studies WHERE study_name = ?").get(studyName);
      return row ? this.#readStudy(db, Number(row.study_id)) : null;
    });
  }

  async studyNames(): Promise<string[]> {
    return this.#read((db) =>
      db
        .prepare("SELECT study_name FROM studies ORDER BY study_id")
        .all()
        .map((row) => String(row.study_name)),
    );
  }

  async setStudyAttrs(
    studyId: number,
    { user = {}, system = {} }: { readonly user?: Attrs; readonly system?: Attrs },
  ): Promise<void> {
    await this.#transaction((db) => {
      setAttrs(db, "study_user", studyId, user);
      setAttrs(db, "study_system", studyId, system);
    });
  }

  async trials(studyId: number): Promise<readonly TrialRecord[]> {
    return this.#read((db) => {
      const known = this.#finished.get(studyId) ?? new Map<number, TrialRecord>();
      this.#finished.set(studyId, known);
      return db
        .prepare("SELECT * FROM trials WHERE study_id = ? ORDER BY trial_id")
        .all(studyId)
        .map((row) => known.get(Number(row.trial_id)) ?? this.#remember(known, readTrial(db, row)));
    });
  }

  async createTrials(
    studyId: number,
    trials: readonly NewTrial[],
    expectedCount: number,
  ): Promise<TrialRecord[] | null> {
    return this.#transaction((db) => {
      if (this.#count(db, studyId) !== expectedCount) return null;
      return trials.map((trial) => this.#insert(db, studyId, trial));
    });
  }

  async claimTrial(trialId: number, update: TrialUpdate = {}): Promise<boolean> {
    return this.#transaction((db) => {
      const { changes } = db
        .prepare(
          "UPDATE trials SET state = 'RUNNING', datetime_start = ? WHERE trial_id = ? AND state = 'WAITING'",
        )
        .run(timeText(new Date()), trialId);
      if (changes === 0) return false;
      write(db, trialId, update);
      return true;
    });
  }

  async updateTrial(trialId: number, update: TrialUpdate): Promise<void> {
    await this.#transaction((db) => {
      this.#checkRunning(db, trialId);
      write(db, trialId, update);
    });
  }

  async finishTrials(results: ReadonlyMap<number, TrialResult>): Promise<void> {
    await this.#transaction((db) => {
      for (const [trialId, result] of results) this.#finish(db, trialId, result);
    });
  }

  async interruptTrial(trialId: number, systemAttrs: Attrs, successor: NewTrial | null): Promise<boolean> {
    return this.#transaction((db) => {
      const row = db.prepare("SELECT state, study_id FROM trials WHERE trial_id = ?").get(trialId);
      if (!row) throw trialGone(this.url, trialId);
      if (row.state !== "RUNNING") return false;
      this.#finish(db, trialId, { state: "FAIL", value: null, systemAttrs });
      if (successor) this.#insert(db, Number(row.study_id), successor);
      return true;
    });
  }

  async close(): Promise<void> {
    const database = this.#database;
    this.#database = null;
    try {
      // The log goes back into the file, so that the file alone is the study; a reader elsewhere may delay that.
      database?.pragma("wal_checkpoint(TRUNCATE)");
    } catch {
      // What is acknowledged is in the log already: the next one to open the file folds it in.
    } finally {
      database?.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): Database {
    if (!this.#database) throw storeClosed(this.url);
    return this.#database;
  }

  /** What `work` reads is one moment of the file, also while another process writes. */
  #read<T>(work: (db: Database) => T): Promise<T> {
    return this.#within("BEGIN", work);
  }

  /** All or nothing. The write lock is taken at once, so a transaction never fails half-way for a lock. */
  #transaction<T>(work: (db: Database) => T): Promise<T> {
    return this.#within("BEGIN IMMEDIATE", work);
  }

  #within<T>(begin: string, work: (db: Database) => T): Promise<T> {
    return whenFree(this.url, () => inTransaction(this.#open(), begin, work));
  }

  #count(db: Database, studyId: number): number {
    return Number(db.prepare("SELECT count(*) AS n FROM trials WHERE study_id = ?").get(studyId)!.n);
  }

  #insert(db: Database, studyId: number, trial: NewTrial): TrialRecord {
    const started = trial.state === "RUNNING" ? timeText(new Date()) : null;
    const { lastInsertRowid } = db
      .prepare("INSERT INTO trials (number, study_id, state, datetime_start) VALUES (?, ?, ?, ?)")
      .run(this.#count(db, studyId), studyId, trial.state, started);
    write(db, Number(lastInsertRowid), trial);
    return readTrial(db, db.prepare("SELECT * FROM trials WHERE trial_id = ?").get(lastInsertRowid)!);
  }

  #finish(db: Database, trialId: number, { state, value, ...update }: TrialResult): void {
    this.#checkRunning(db, trialId);
    checkValue(trialId, value);
    write(db, trialId, update);
    if (value !== null) {
      const [number, type] = storedValue(value);
      db.prepare("INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, 0, ?, ?)").run(
        trialId,
        number,
        type,
      );
    }
    db.prepare("UPDATE trials SET state = ?, datetime_complete = ? WHERE trial_id = ?").run(
      state,
      timeText(new Date()),
      trialId,
    );
  }

  #checkRunning(db: Database, trialId: number): void {
    const row = db.prepare("SELECT state FROM trials WHERE trial_id = ?").get(trialId);
    if (!row) throw trialGone(this.url, trialId);
    if (row.state !== "RUNNING") throw trialFinished(trialId, String(row.state));
  }

  #remember(known: Map<number, TrialRecord>, record: TrialRecord): TrialRecord {
    if (isFinished(record.state)) known.set(record.trialId, record);
    return record;
  }

  #readStudy(db: Database, studyId: number): StoredStudy {
    const row = db.prepare("SELECT study_name FROM studies WHERE study_id = ?").get(studyId)!;
    const directions = db
      .prepare("SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective")
      .all(studyId);
    return Object.freeze({
      studyId,
      studyName: String(row.study_name),
      directions: directions.map((d) => String(d.direction).toLowerCase() as Direction),
      userAttrs: readAttrs(db, "study_user", studyId),
      systemAttrs: readAttrs(db, "study_system", studyId),
    });
  }
}

type AttrTable = "study_user" | "study_system" | "trial_user" | "trial_system";
const ownerOf = (table: AttrTable) => (table.startsWith("study") ? "study_id" : "trial_id");

function setAttrs(db: Database, table: AttrTable, owner: number, attrs: Attrs): void {
  for (const [key, value] of Object.entries(attrs)) {
    checkKey(key);
    const text = writeJson(value, `${table} attribute ${key}`);
    const column = ownerOf(table);
    db.prepare(
      `INSERT INTO ${table}_attributes (${column}, "key", value_json) VALUES (?, ?, ?)
       ON CONFLICT (${column}, "key") DO UPDATE SET value_json = excluded.value_json`,
    ).run(owner, key, text);
  }
}

function readAttrs(db: Database, table: AttrTable, owner: number): Attrs {
  const rows = db
    .prepare(`SELECT "key" AS name, value_json FROM ${table}_attributes WHERE ${ownerOf(table)} = ?`)
    .all(owner);
  return Object.freeze(
    Object.fromEntries(rows.map((row) => [String(row.name), readJson(String(row.value_json))])),
  );
}

function write(db: Database, trialId: number, update: TrialUpdate): void {
  for (const [name, value] of Object.entries(update.params ?? {})) {
    const distribution = update.distributions?.[name];
    if (!distribution) throw new StoreError("ERR_STORE_PARAM", `A parameter without a distribution: ${name}`);
    checkKey(name);
    // A waiting trial may hold parameters already: Optuna's add_trial stores them before anybody claims it.
    db.prepare(
      `INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?, ?, ?, ?)
       ON CONFLICT (trial_id, param_name) DO UPDATE SET param_value = excluded.param_value, distribution_json = excluded.distribution_json`,
    ).run(trialId, name, toInternal(distribution, value, name), distributionToJson(distribution));
  }
  for (const [step, value] of update.intermediateValues ?? []) {
    const [number, type] = Number.isNaN(value) ? [null, "NAN"] : storedValue(value);
    db.prepare(
      `INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) VALUES (?, ?, ?, ?)
       ON CONFLICT (trial_id, step) DO NOTHING`,
    ).run(trialId, step, number, type);
  }
  setAttrs(db, "trial_user", trialId, update.userAttrs ?? {});
  setAttrs(db, "trial_system", trialId, update.systemAttrs ?? {});
}

function readTrial(db: Database, row: Row): TrialRecord {
  const trialId = Number(row.trial_id);
  const params: Record<string, ParamValue> = {};
  const distributions: Record<string, Distribution> = {};
  for (const p of db
    .prepare("SELECT * FROM trial_params WHERE trial_id = ? ORDER BY param_id")
    .all(trialId)) {
    const name = String(p.param_name);
    distributions[name] = distributionFromJson(String(p.distribution_json));
    params[name] = toExternal(distributions[name], Number(p.param_value));
  }
  const value = db
    .prepare("SELECT value, value_type FROM trial_values WHERE trial_id = ? AND objective = 0")
    .get(trialId);
  const reports = db
    .prepare("SELECT * FROM trial_intermediate_values WHERE trial_id = ? ORDER BY step")
    .all(trialId);
  return Object.freeze({
    number: Number(row.number),
    trialId,
    state: String(row.state) as TrialState,
    value: value ? readValue(value.value, value.value_type) : null,
    params: Object.freeze(params),
    distributions: Object.freeze(distributions),
    intermediateValues: new Map(
      reports.map((r) => [Number(r.step), readValue(r.intermediate_value, r.intermediate_value_type)]),
    ),
    userAttrs: readAttrs(db, "trial_user", trialId),
    systemAttrs: readAttrs(db, "trial_system", trialId),
    datetimeStart: readTime(row.datetime_start),
    datetimeComplete: readTime(row.datetime_complete),
  });
}

function storedValue(value: number): [number | null, string] {
  if (value === Number.POSITIVE_INFINITY) return [null, "INF_POS"];
  if (value === Number.NEGATIVE_INFINITY) return [null, "INF_NEG"];
  return [value, "FINITE"];
}

function readValue(value: unknown, type: unknown): number {
  if (type === "INF_POS") return Number.POSITIVE_INFINITY;
  if (type === "INF_NEG") return Number.NEGATIVE_INFINITY;
  return type === "NAN" ? Number.NaN : Number(value);
}

/** Naive UTC with six digits, as Optuna 5 writes. */
const timeText = (time: Date) => `${time.toISOString().slice(0, 23).replace("T", " ")}000`;
const readTime = (text: unknown) =>
  text === null ? null : new Date(`${String(text).slice(0, 23).replace(" ", "T")}Z`);
