import { inspect } from "node:util";
import type { z } from "zod";
import { closest } from "../data/closest.js";
import { ConfigError, type Issue } from "../errors.js";
import { conflicts } from "./between.js";
import { insteadOf } from "./elsewhere.js";
import { type ConfigOf, camelCase, type OptionSpec, snakeCase } from "./option.js";

export interface Resolved<T extends Record<string, OptionSpec>> {
  readonly config: ConfigOf<T>;
  /** An old name was used: what to write instead. */
  readonly warnings: readonly string[];
}

/** Where options come from, for the error. */
export interface Origin {
  /** "options", "search.json". */
  readonly source?: string;
  /** How names are spelled there, for a hint at an option when what was given could be either: `epochs`. @default camelCase */
  readonly spell?: (name: string) => string;
  /** Found already, to be told with the rest. */
  readonly issues?: readonly Issue[];
}

/**
 * Checks options of any spelling (`learning_rate`, `learningRate`, `learning-rate`) against a table and fills in defaults.
 * `undefined` counts as not given. Problems name an option as it was given.
 *
 * @throws ConfigError ERR_CONFIG with every problem at once.
 */
export function resolve<T extends Record<string, OptionSpec>>(
  table: T,
  given: Readonly<Record<string, unknown>>,
  { source = "options", spell = camelCase, issues: found = [] }: Origin = {},
): Resolved<T> {
  const issues = [...found];
  const warnings: string[] = [];
  const values: Record<string, unknown> = {};
  const keys: Record<string, string> = {};
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const name = findOption(table, key);
    const spelled = spellingOf(key, spell);
    if (!name) {
      issues.push(unknownOption(table, key, spelled));
      continue;
    }
    const alias = snakeCase(key) === name ? undefined : snakeCase(key);
    if (alias && table[name]!.aliases?.includes(alias))
      warnings.push(`${key} is an old name of ${spelled(name)}; use ${spelled(name)}`);
    if (name in values) {
      issues.push({ path: key, expected: "each option once", received: `${spelled(name)} twice` });
      continue;
    }
    const flagged = alias === undefined ? undefined : table[name]!.aliasValues?.[alias];
    if (flagged !== undefined && (value === false || value === "false")) continue;
    if (flagged !== undefined && value !== true && value !== "true") {
      issues.push({ path: key, expected: "true or false", received: shown(value) });
      continue;
    }
    values[name] = flagged !== undefined ? flagged : value;
    keys[name] = key;
  }
  const config: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) {
    const parsed = spec.schema.safeParse(values[name]);
    if (parsed.success) config[camelCase(name)] = parsed.data;
    else
      issues.push(
        ...parsed.error.issues.map((issue) => toIssue(keys[name] ?? name, issue, values[name], spec)),
      );
  }
  for (const { path, ...issue } of conflicts(config)) {
    const key = keys[path] ?? path;
    const inWords = (text: string) => spelledIn(text, table, spellingOf(key, spell));
    issues.push({
      path: key,
      expected: issue.expected,
      received: inWords(issue.received),
      hint: inWords(issue.hint),
    });
  }
  if (issues.length > 0) {
    const problems = issues.length === 1 ? "1 problem" : `${issues.length} problems`;
    throw new ConfigError("ERR_CONFIG", `${problems} in ${source}`, issues);
  }
  return { config: Object.freeze(config) as ConfigOf<T>, warnings };
}

/** The option a key means, by name or alias; undefined if none. */
export function findOption(table: Record<string, OptionSpec>, key: string): string | undefined {
  const snake = snakeCase(key);
  if (Object.hasOwn(table, snake)) return snake;
  return Object.keys(table).find((name) => namesBeside(table[name]!).includes(snake));
}

/** Old names and synonyms. */
export const namesBeside = (spec: OptionSpec): readonly string[] => [
  ...(spec.aliases ?? []),
  ...(spec.synonyms ?? []),
];

function unknownOption(
  table: Record<string, OptionSpec>,
  key: string,
  spelled: (name: string) => string,
): Issue {
  const near = closest(snakeCase(key), Object.keys(table));
  const said = insteadOf(table, snakeCase(key)) ?? (near && `did you mean ${near}?`);
  const hint = said && spelledIn(said, table, spelled);
  return { path: key, expected: "a known option", received: "an unknown one", ...(hint ? { hint } : {}) };
}

/** Names of options in a sentence as they are spelled elsewhere. */
const spelledIn = (text: string, table: Record<string, OptionSpec>, spelled: (name: string) => string) =>
  text.replace(/\w+/g, (word) => (Object.hasOwn(table, word) ? spelled(word) : word));

/** The spelling of a name that is written beside `key`: the one the key itself has, where it has one. */
const spellingOf = (key: string, otherwise: (name: string) => string) =>
  /[_-]/.test(key) ? (name: string) => name : /[A-Z]/.test(key) ? camelCase : otherwise;

function toIssue(name: string, issue: z.core.$ZodIssue, value: unknown, spec: OptionSpec): Issue {
  const path = [name, ...issue.path.map(String)].join(".");
  const received = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key as PropertyKey],
    value,
  );
  return {
    path,
    expected: expectation(issue, spec),
    received: value === undefined ? "nothing" : shown(received),
  };
}

/** As JSON where that says it: it has no NaN, no bigint and no cycles. */
function shown(value: unknown): string {
  if (typeof value === "number") return String(value);
  try {
    return JSON.stringify(value) ?? inspect(value);
  } catch {
    return inspect(value, { breakLength: Number.POSITIVE_INFINITY });
  }
}

function expectation(issue: z.core.$ZodIssue, spec: OptionSpec): string {
  switch (issue.code) {
    case "invalid_value":
      return `one of ${issue.values.map((v) => JSON.stringify(v)).join(", ")}`;
    case "too_small":
      if (issue.origin === "string") return "a non-empty string";
      if (issue.origin === "array") return `${issue.minimum} values (${spec.doc})`;
      return `a number ${issue.inclusive ? "≥" : ">"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "string") return `at most ${issue.maximum} characters`;
      if (issue.origin === "array") return `${issue.maximum} values (${spec.doc})`;
      return `a number ${issue.inclusive ? "≤" : "<"} ${issue.maximum}`;
    case "invalid_type":
      return issue.expected === "int" ? "an integer" : `a ${issue.expected} (${spec.doc})`;
    default:
      return issue.message;
  }
}
