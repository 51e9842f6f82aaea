/**
 * One thing that is wrong with an input, as data. `renderIssues` makes the sentence; tests snapshot it.
 */
export interface Issue {
  /** Where: a file, `file:line`, an option (`learning_rate`), a key path (`layers[3].lr`) or a tensor name. */
  readonly path: string;
  /** What would have been right, in words: "a number ≥ 0". */
  readonly expected: string;
  /** What was there, in words: "-0.5". */
  readonly received: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** Base of every error permafrost throws on purpose. `code` is stable (`ERR_…`), `issues` are data. */
export class PermafrostError extends Error {
  readonly code: string;
  readonly issues: readonly Issue[];

  constructor(code: string, message: string, issues: readonly Issue[] = [], options?: ErrorOptions) {
    super(issues.length > 0 ? `${message}\n${renderIssues(issues)}` : message, options);
    this.name = new.target.name;
    this.code = code;
    this.issues = issues;
  }
}

/** An option, a config file or a combination of options is wrong. Thrown before any work starts. CLI exit code 2. */
export class ConfigError extends PermafrostError {}

/** A dataset file is missing, malformed or unusable (empty, one class, unseen label). CLI exit code 2. */
export class DataError extends PermafrostError {}

/** A model folder or one of its files is missing, malformed, lying or unsupported. CLI exit code 2. */
export class ModelError extends PermafrostError {}

/** The native core refused a call, ran out of memory or could not be loaded. CLI exit code 1. */
export class NativeError extends PermafrostError {}

/** The study storage cannot be opened, read, written or understood. CLI exit code 4. */
export class StoreError extends PermafrostError {}

/** Training could not produce a result: a non-finite loss, or a study without one finished trial. CLI exit 1 or 3. */
export class TrainingError extends PermafrostError {}

/** One line an issue, aligned: `  path   expected X, received Y; hint`. */
export function renderIssues(issues: readonly Issue[]): string {
  const width = Math.min(40, Math.max(...issues.map((i) => i.path.length)));
  return issues
    .map(
      (i) =>
        `  ${i.path.padEnd(width)}   expected ${i.expected}, received ${i.received}${i.hint ? `; ${i.hint}` : ""}`,
    )
    .join("\n");
}
