/** Opening the file: whose it is, whether we may write it, and what its errors mean. */
import { createRequire } from "node:module";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { ConfigError, StoreError } from "../../errors.js";
import { ALEMBIC_HEAD, SCHEMA } from "./schema.js";

/** What we use of libsql, a synchronous SQLite (prebuilt for every platform: nothing to compile). */
export interface Database {
  prepare(sql: string): Statement;
  exec(sql: string): unknown;
  pragma(text: string): unknown;
  close(): unknown;
}
export interface Statement {
  run(...values: unknown[]): { changes: number; lastInsertRowid: number | bigint };
  get(...values: unknown[]): Record<string, unknown> | undefined;
  all(...values: unknown[]): Record<string, unknown>[];
}

/** How long a locked file is waited for. */
const BUSY_MS = 60_000;
/** How long one statement may block the process for a lock; the rest of the wait is the caller's, asleep. */
const BLOCK_MS = 20;

/**
 * `sqlite:///study.db` (relative) or `sqlite:////tmp/study.db` (absolute), as SQLAlchemy has it.
 *
 * @throws StoreError ERR_STORE_URL.
 */
function sqlitePath(url: string): string {
  const match = /^sqlite:\/\/\/(.+)$/s.exec(url);
  if (match) return match[1]!;
  throw new StoreError("ERR_STORE_URL", "The study storage was not understood", [
    {
      path: "storage",
      expected: "sqlite:///FILE, or sqlite:////FILE for an absolute path",
      received: JSON.stringify(url),
    },
  ]);
}

/**
 * Opens or creates the file. One that is not a study of this schema is left exactly as it was.
 *
 * @throws StoreError ERR_STORE_OPEN, ERR_STORE_NOT_A_STUDY, ERR_STORE_SCHEMA, ERR_STORE_CORRUPT, ERR_STORE_BUSY; the signal's reason.
 */
export async function openDatabase(url: string, signal?: AbortSignal): Promise<Database> {
  const file = path.resolve(sqlitePath(url));
  let database: Database | undefined;
  const open = () => {
    const Libsql = createRequire(import.meta.url)("libsql") as new (file: string) => Database;
    database = new Libsql(file);
    database.pragma(`busy_timeout = ${BLOCK_MS}`);
  };
  // Any of them may find the file locked; those before it are not done again.
  const steps = [
    open,
    () => checkSchema(database!, url),
    () => checkPages(database!, url),
    () => database!.pragma("journal_mode = WAL"),
    () => database!.pragma("synchronous = FULL"),
  ];
  try {
    const allSteps = () => {
      for (; steps.length > 0; steps.shift()) steps[0]!();
    };
    await whenFree(url, allSteps, signal);
    return database!;
  } catch (error) {
    database?.close();
    throw error;
  }
}

/**
 * A locked file is waited for without blocking the process: a lock may be held for as long as another one's disk takes.
 *
 * @throws StoreError as `storeFault` has it, ERR_STORE_BUSY after a minute; what `work` throws on purpose; the signal's reason.
 */
export async function whenFree<T>(url: string, work: () => T, signal?: AbortSignal): Promise<T> {
  const started = performance.now();
  for (;;) {
    try {
      return work();
    } catch (cause) {
      if (cause instanceof StoreError || cause instanceof ConfigError) throw cause;
      if (!isBusy(cause) || performance.now() - started > BUSY_MS) throw storeFault(url, cause);
    }
    await setTimeout(5 + 45 * Math.random());
    signal?.throwIfAborted();
  }
}

function checkSchema(database: Database, url: string): void {
  const tables = database
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all()
    .map((row) => row.name);
  if (tables.length === 0) {
    // Two processes may create at once: the second sees the first's tables inside its own transaction.
    inTransaction(database, "BEGIN IMMEDIATE", () => {
      const made = database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE type = 'table'").get()!.n;
      if (made === 0) database.exec(SCHEMA);
    });
    return;
  }
  if (!tables.includes("alembic_version") || !tables.includes("studies")) {
    throw new StoreError("ERR_STORE_NOT_A_STUDY", "The file is a database, but not a study", [
      {
        path: url,
        expected: "a file Optuna or permafrost made, or none",
        received: `tables ${tables.slice(0, 5).join(", ")}`,
      },
    ]);
  }
  const head = String(database.prepare("SELECT version_num FROM alembic_version").get()?.version_num);
  if (head !== ALEMBIC_HEAD) {
    throw new StoreError(
      "ERR_STORE_SCHEMA",
      "The study was written by another version of Optuna; it was left as it is",
      [
        {
          path: `${url}: alembic_version`,
          expected: `${ALEMBIC_HEAD} (Optuna 3.2 to 5.0)`,
          received: head,
          hint: "an older one: run `optuna storage upgrade --storage URL`; a newer one: upgrade permafrost",
        },
      ],
    );
  }
}

/** Reads every page once: a torn file is found before a search builds on it. 10 MB take a few milliseconds. */
function checkPages(database: Database, url: string): void {
  const [first] = database.prepare("PRAGMA quick_check(1)").all();
  const verdict = String(Object.values(first ?? {})[0]);
  if (verdict !== "ok") throw storeFault(url, { code: "SQLITE_CORRUPT", message: verdict });
}

export function inTransaction<T>(db: Database, begin: string, work: (db: Database) => T): T {
  db.exec(begin);
  try {
    const result = work(db);
    db.exec("COMMIT");
    return result;
  } catch (error) {
    try {
      db.exec("ROLLBACK");
    } catch {
      // SQLite rolls back by itself on a full disk; the first error is the one to tell.
    }
    throw error;
  }
}

const isBusy = (cause: unknown) => /SQLITE_(BUSY|LOCKED)|database( table)? is locked/.test(faultText(cause));

function faultText(cause: unknown): string {
  const { code = "", message = String(cause) } = cause as { code?: string; message?: string };
  return `${code} ${message}`;
}

/** SQLite's own errors as ours: file, what was expected, what happened. */
export function storeFault(url: string, cause: unknown): StoreError {
  const { message = String(cause) } = cause as { message?: string };
  const text = faultText(cause);
  // SHMSIZE: the log's index beside the file could not grow.
  const [ours, expected, hint] = /FULL|disk is full|IOERR_SHMSIZE/i.test(text)
    ? [
        "ERR_STORE_FULL",
        "room on the disk",
        "results acknowledged so far are kept; free some space and --resume",
      ]
    : isBusy(cause)
      ? [
          "ERR_STORE_BUSY",
          `the lock within ${BUSY_MS / 1000} s`,
          "another process holds the study; try again",
        ]
      : /READONLY|readonly|CANTOPEN|unable to open/i.test(text)
        ? [
            "ERR_STORE_OPEN",
            "a file that can be opened and written",
            "does its folder exist, and may you write there?",
          ]
        : /NOTADB|not a database/i.test(text)
          ? ["ERR_STORE_NOT_A_STUDY", "an SQLite database", "the file was left as it is"]
          : /CORRUPT|malformed/i.test(text)
            ? ["ERR_STORE_CORRUPT", "a whole SQLite database", "the file was left as it is; restore a copy"]
            : ["ERR_STORE", "a working study storage", undefined];
  return new StoreError(
    ours as string,
    "The study storage failed",
    [{ path: url, expected: expected as string, received: message, ...(hint ? { hint } : {}) }],
    { cause },
  );
}
