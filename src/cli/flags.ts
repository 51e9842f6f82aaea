/** Flags, help and parsing of a command, all from its table of options. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { ELSEWHERE, insteadOf } from "../config/elsewhere.js";
import type { OptionSpec } from "../config/option.js";
import { findOption, namesBeside, type Resolved, resolve } from "../config/resolve.js";
import { ConfigError, type Issue } from "../errors.js";

type Table = Record<string, OptionSpec>;

const GROUPS: Readonly<Record<OptionSpec["group"], string>> = {
  data: "Model and data:",
  freezing: "Rates and freezing:",
  training: "Training:",
  evaluation: "Evaluation:",
  search: "Search:",
  output: "Output:",
  machine: "Machine:",
};

/** Of the flag: `learning_rate`, or `n-trials` for the options Optuna has. */
const spellingIn = (table: Table) => (name: string) =>
  table[name]?.hyphens ? name.replace(/_/g, "-") : name;

/**
 * Adds a flag for every option of the table, and --config. Checking is `readOptions`'s, so that all problems come at once.
 *
 * @param defaults of the command, that win over the table's.
 */
export function addFlags(
  command: Command,
  table: Table,
  defaults: Readonly<Record<string, unknown>> = {},
): Command {
  const spell = spellingIn(table);
  command.addOption(
    new Option("--config <file>", "JSON file with any of these options; flags win over it").helpGroup(
      "Output:",
    ),
  );
  for (const group of Object.keys(GROUPS) as OptionSpec["group"][]) {
    for (const [name, spec] of Object.entries(table)) {
      if (spec.group !== group) continue;
      const value = spec.kind === "boolean" ? "[true|false]" : `<${valueName(spec)}>`;
      const fallback = name in defaults ? defaults[name] : spec.schema.safeParse(undefined).data;
      const shown = fallback !== undefined && !isEmpty(fallback);
      const said = name in defaults ? spec.doc.replace(/; default: .*$/, "") : spec.doc;
      const text = said.replace(/\w+/g, spell);
      const doc = shown ? `${text} (default: ${textOf(fallback)})` : text;
      command.addOption(new Option(`--${spell(name)} ${value}`, doc).helpGroup(GROUPS[group]));
      if (spec.kind === "boolean") command.addOption(new Option(`--no-${spell(name)}`).hideHelp());
      for (const name of namesBeside(spec)) command.addOption(new Option(`--${name} [value]`).hideHelp());
    }
  }
  // Taken, for `resolve` to refuse with what to use instead.
  for (const name of ELSEWHERE)
    if (!findOption(table, name) && insteadOf(table, name))
      command.addOption(new Option(`--${name} [value]`).hideHelp());
  return command.allowExcessArguments();
}

/** Flags in the spelling `addFlags` registered: `--learning-rate` and `--learning_rate` are the same. */
export function normaliseFlags(argv: readonly string[], table: Table): string[] {
  const spell = spellingIn(table);
  return argv.map((argument) => {
    const match = /^--([A-Za-z][\w-]*)(=.*)?$/s.exec(argument);
    if (!match) return argument;
    const [, flag, value = ""] = match;
    const snake = flag!.replace(/-/g, "_");
    const without = snake.replace(/^no_/, "");
    if (without !== snake && Object.hasOwn(table, without)) return `--no-${spell(without)}${value}`;
    return findOption(table, snake) || insteadOf(table, snake) ? `--${spell(snake)}${value}` : argument;
  });
}

/**
 * The options of a parsed command, checked, with those of --config beneath them.
 *
 * @throws ConfigError with every problem.
 */
export async function readOptions<T extends Table>(
  command: Command,
  table: T,
  defaults: Readonly<Record<string, unknown>> = {},
): Promise<Resolved<T>> {
  const given: Record<string, unknown> = {};
  let file: string | undefined;
  for (const option of command.options) {
    const key = option.attributeName();
    // `--no-baseline` says false of the option --baseline.
    if (option.negate || command.getOptionValueSource(key) !== "cli") continue;
    const flag = option.long!.slice(2);
    const name = flag.replace(/-/g, "_");
    if (name === "config") file = command.getOptionValue(key) as string;
    const known = findOption(table, name);
    const value: unknown = command.getOptionValue(key);
    if (known)
      given[flag] = readText(value, name === known ? table[known]!.kind : aliasKind(table[known]!, name));
    else if (insteadOf(table, name)) given[flag] = value;
  }
  const fromFile = file === undefined ? {} : await readConfigFile(file);
  const beneath = (values: Readonly<Record<string, unknown>>, above: Readonly<Record<string, unknown>>) => {
    const taken = new Set(Object.keys(above).map((key) => findOption(table, key)));
    return Object.fromEntries(
      Object.entries(values).filter(([key]) => !taken.has(findOption(table, key) ?? key)),
    );
  };
  const named = { ...beneath(fromFile, given), ...given };
  const source = file === undefined ? "the command line" : `${file} and the command line`;
  return resolve(
    table,
    { ...beneath(defaults, named), ...named },
    { source, spell: spellingIn(table), issues: loose(command.args) },
  );
}

/** Words that belong to no flag: `--freeze embeddings layer.0`. */
function loose(words: readonly string[]): Issue[] {
  if (words.length === 0) return [];
  const hint = "separate the parts of a list by commas (a,b,c), and quote a value with blanks";
  return [{ path: words.join(" "), expected: "a flag before each value", received: "none", hint }];
}

const aliasKind = (spec: OptionSpec, alias: string) =>
  spec.aliasValues && alias in spec.aliasValues ? "boolean" : spec.kind;

/** Text that is no number, boolean or JSON stays text, for the schema to refuse. */
function readText(text: unknown, kind: OptionSpec["kind"]): unknown {
  if (text === true) return kind === "boolean" ? true : text;
  const value = String(text);
  switch (kind) {
    case "number":
      return value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
    case "boolean":
      return value === "true" ? true : value === "false" ? false : value;
    case "list":
      return value.split(",").map((part) => part.trim());
    case "json":
      try {
        return JSON.parse(value);
      } catch {
        return value;
      }
    default:
      return value;
  }
}

/** Windows editors and shells begin a file with a byte order mark, which is no JSON. */
const withoutMark = (text: string) => (text.startsWith("\uFEFF") ? text.slice(1) : text);

async function readConfigFile(file: string): Promise<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(withoutMark(await readFile(file, "utf8")));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
    throw new SyntaxError("not an object");
  } catch (cause) {
    throw new ConfigError(
      "ERR_CONFIG_FILE",
      `${file}: not read`,
      [{ path: "--config", expected: "a file holding one JSON object", received: (cause as Error).message }],
      { cause },
    );
  }
}

const isEmpty = (value: unknown) =>
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === "object" && Object.keys(value as object).length === 0);
const textOf = (value: unknown) => (typeof value === "object" ? JSON.stringify(value) : String(value));

function valueName(spec: OptionSpec): string {
  const schema =
    "def" in spec.schema
      ? (spec.schema.def as { innerType?: { def?: { type?: string; entries?: object } } })
      : {};
  const inner = schema.innerType?.def;
  if (inner?.type === "enum" && inner.entries) return Object.keys(inner.entries).join("|");
  return spec.kind;
}
