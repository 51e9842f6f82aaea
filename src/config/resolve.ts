import { inspect } from "node:util";
import type { z } from "zod";
import { closest } from "../data/closest.js";
import { ConfigError, type Issue } from "../errors.js";
import { insteadOf } from "./elsewhere.js";
import { type ConfigOf, camelCase, type OptionSpec } from "./option.js";

export interface Resolved<T extends Record<string, OptionSpec>> {
  readonly config: ConfigOf<T>;
  /** An old name was used: what to write instead. */
  readonly warnings: readonly string[];
}

/**
 * Checks options of any spelling (`learning_rate`, `learningRate`, `learning-rate`) against a table and fills in defaults.
 * `undefined` counts as not given.
 *
 * @param source what the options came from, for the error: "options", "search.json".
 * @throws ConfigError ERR_CONFIG with every problem at once.
 */
export function resolve<T extends Record<string, OptionSpec>>(
  table: T,
  given: Readonly<Record<string, unknown>>,
  source = "options",
): Resolved<T> {
  const issues: Issue[] = [];
  const warnings: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const name = findOption(table, key);
    if (!name) {
      issues.push(unknownOption(table, key));
      continue;
    }
    const alias = snakeCase(key) === name ? undefined : snakeCase(key);
    if (alias && table[name]!.aliases?.includes(alias))
      warnings.push(`${key} is an old name of ${name}; use ${name}`);
    if (name in values) {
      issues.push({ path: key, expected: "each option once", received: `${name} twice` });
      continue;
    }
    const flagged = alias === undefined ? undefined : table[name]!.aliasValues?.[alias];
    if (flagged !== undefined && (value === false || value === "false")) continue;
    values[name] = flagged !== undefined ? flagged : value;
  }
  const config: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) {
    const parsed = spec.schema.safeParse(values[name]);
    if (parsed.success) config[camelCase(name)] = parsed.data;
    else issues.push(...parsed.error.issues.map((issue) => toIssue(name, issue, values[name], spec)));
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

function unknownOption(table: Record<string, OptionSpec>, key: string): Issue {
  const instead = insteadOf(snakeCase(key));
  const near = closest(snakeCase(key), Object.keys(table));
  const hint = instead ?? (near && `did you mean ${near}?`);
  return { path: key, expected: "a known option", received: "an unknown one", ...(hint ? { hint } : {}) };
}

const snakeCase = (key: string) =>
  key.replace(/-/g, "_").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

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
