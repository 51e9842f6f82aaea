/** Turns table rows into a dataset: what the columns mean, and what is wrong with them. */
import { DataError, type Issue } from "../errors.js";
import { type Column, nameIn, renameHint, separatorHint } from "./columns.js";
import { brief, type TableRow } from "./table.js";
import type { Dataset, Example } from "./types.js";

const MAX_ISSUES = 10;

/** Collects rows and problems. CSV labels that have to be there are integers when all of the file's are. */
export class DatasetBuilder {
  readonly #file: string;
  readonly #requireLabels: boolean;
  readonly #examples: Example[] = [];
  readonly #lines: number[] = [];
  /** The first MAX_ISSUES kinds of problem, each with its first row and how many rows have it. */
  readonly #issues = new Map<string, { readonly issue: Issue; rows: number }>();
  readonly #unused = new Set<string>();
  #problems = 0;
  #badRows = 0;
  #emptyTexts = 0;
  /** Rows whose every field is empty: skipped, unless what is only predicted on goes on after them. */
  readonly #emptyRows: TableRow[] = [];
  #spanning = 0;
  #longest = { line: 0, lines: 1 };
  #pairs: boolean | null = null;
  /** The file's labels are text (CSV): integers have to be recognised, and blanks around a label mean nothing. */
  #labelsAreText = false;
  /** What the file calls each column: CSV from elsewhere writes Text or LABEL. */
  #names: Readonly<Record<Column, string>> = { text: "text", text_b: "text_b", label: "label" };

  constructor(file: string, requireLabels: boolean) {
    this.#file = file;
    this.#requireLabels = requireLabels;
  }

  add(row: TableRow): void {
    if (row.isEmpty) {
      this.#emptyRows.push(row);
      return;
    }
    // Predictions come one a row, in order: only at the end of the file may rows be left out.
    if (!this.#requireLabels) for (const empty of this.#emptyRows.splice(0)) this.#add(empty);
    this.#add(row);
  }

  #add(row: TableRow): void {
    const { line, lines = 1 } = row;
    if (row.header) {
      this.#header(line, row.header);
      return;
    }
    if (lines > 1) this.#spanning++;
    if (lines > this.#longest.lines) this.#longest = { line, lines };
    if (row.fields) this.#noteUnused(Object.keys(row.fields));
    else this.#report(line, row.problem?.expected ?? "a row", row.problem?.received ?? "none");
    const example = row.fields ? this.#example(line, row.fields) : null;
    if (!example) {
      this.#badRows++;
      return;
    }
    if (example.text.trim() === "") this.#emptyTexts++;
    this.#examples.push(example);
    this.#lines.push(line);
  }

  finish(hash: string): Dataset {
    if (this.#badRows > 0) {
      const plural = this.#badRows === 1 ? "1 row cannot be used" : `${this.#badRows} rows cannot be used`;
      const issues = Array.from(this.#issues.values(), ({ issue, rows }) =>
        rows === 1 ? issue : { ...issue, received: `${issue.received}, in ${rows} rows` },
      );
      throw new DataError("ERR_ROWS", `${this.#file}: ${plural}`, issues);
    }
    if (this.#examples.length === 0) {
      throw new DataError("ERR_EMPTY", `${this.#file}: no rows`, [
        { path: this.#file, expected: "at least one row", received: "none" },
      ]);
    }
    return {
      path: this.#file,
      examples:
        this.#labelsAreText && this.#requireLabels
          ? withIntegerLabels(this.#examples, this.#file, this.#lines)
          : this.#examples,
      lines: Int32Array.from(this.#lines),
      hash,
      notices: this.#notices(),
    };
  }

  #notices(): string[] {
    const notices: string[] = [];
    if (this.#unused.size > 0) {
      const columns = [...this.#unused].slice(0, 10).join(", ");
      notices.push(`columns not used: ${columns}${this.#unused.size > 10 ? ", …" : ""}`);
    }
    if (this.#emptyTexts > 0) notices.push(`${this.#emptyTexts} rows have an empty text`);
    if (this.#emptyRows.length > 0) {
      const first = `${this.#file}:${this.#emptyRows[0]!.line}`;
      notices.push(
        `rows skipped because every field is empty: ${this.#emptyRows.length}, the first ${first}`,
      );
    }
    if (this.#spanning > 0) {
      const { line, lines } = this.#longest;
      notices.push(
        `rows that span several lines: ${this.#spanning}, the longest ${lines} lines from ${this.#file}:${line}; ` +
          "if those are rows of their own, quotes that are plain text have to be doubled",
      );
    }
    return notices.map((notice) => `${this.#file}: ${notice}`);
  }

  #header(line: number, columns: readonly string[]): void {
    this.#labelsAreText = true;
    const nameOf = (column: Column) => nameIn(columns, column);
    this.#names = { text: nameOf("text"), text_b: nameOf("text_b"), label: nameOf("label") };
    this.#noteUnused(columns);
    const needed: readonly Column[] = this.#requireLabels ? ["text", "label"] : ["text"];
    const missing = needed.filter((column) => !columns.includes(this.#names[column]));
    if (missing.length === 0) return;
    const separator = separatorHint(columns, needed);
    throw new DataError(
      "ERR_COLUMN",
      `${this.#file}: the first row must name the columns`,
      missing.map((column) => ({
        path: `${this.#file}:${line}`,
        expected: `a column "${column}"`,
        received: columns.map((name) => `"${brief(name)}"`).join(", "),
        hint: separator ?? renameHint(columns, column) ?? "the columns are text[,text_b],label",
      })),
    );
  }

  #noteUnused(columns: readonly string[]): void {
    const used = Object.values(this.#names);
    for (const column of columns) {
      if (!used.includes(column) && this.#unused.size < 100) this.#unused.add(brief(column));
    }
  }

  /** null when the row cannot be used; every reason is reported. */
  #example(line: number, fields: Fields): Example | null {
    const before = this.#problems;
    const text = this.#text(line, fields, "text");
    const textB = this.#text(line, fields, "text_b");
    const label = this.#label(line, fields);
    if (text === undefined || this.#problems > before) return null;
    const pair = textB !== undefined;
    this.#pairs ??= pair;
    // What is only predicted on may mix texts and pairs: each row is read for itself.
    if (this.#requireLabels && pair !== this.#pairs) {
      const expected = this.#pairs ? "text_b, as on the first row" : "no text_b, as on the first row";
      this.#report(line, expected, pair ? `"${brief(textB)}"` : "none");
      return null;
    }
    return { text, ...(pair ? { textB } : {}), ...(label === undefined ? {} : { label }) };
  }

  #text(line: number, fields: Fields, column: "text" | "text_b"): string | undefined {
    const value = fields[this.#names[column]];
    if (value === undefined || value === null) {
      if (column === "text") {
        this.#report(line, 'a "text"', only(fields), renameHint(Object.keys(fields), "text"));
      }
      return undefined;
    }
    if (typeof value !== "string")
      this.#report(line, `"${column}" as a string`, brief(JSON.stringify(value)));
    else if (/\p{Surrogate}/u.test(value)) {
      this.#report(line, `"${column}" as valid Unicode`, "half of a surrogate pair");
    } else return value;
    return undefined;
  }

  #label(line: number, fields: Fields): string | number | undefined {
    const field = fields[this.#names.label];
    // A JSON string is the name as it stands; in CSV a blank after the comma is the writer's habit.
    const value = this.#labelsAreText && typeof field === "string" ? field.trim() : field;
    if (typeof value === "string" && value !== "") return value;
    if (Number.isSafeInteger(value)) return Object.is(value, -0) ? 0 : (value as number);
    if (!this.#requireLabels) return undefined;
    if (typeof value === "number") this.#report(line, "a class as label", `${value}`, REGRESSION);
    else {
      const received =
        field === undefined ? only(fields) : value === "" ? "none" : brief(JSON.stringify(value));
      const hint = field === undefined ? renameHint(Object.keys(fields), "label") : undefined;
      this.#report(line, "a string or an integer as label", received, hint);
    }
    return undefined;
  }

  #report(line: number, expected: string, received: string, hint?: string): void {
    this.#problems++;
    const key = JSON.stringify([expected, received]);
    const same = this.#issues.get(key);
    if (same) same.rows++;
    if (same || this.#issues.size >= MAX_ISSUES) return;
    const issue = { path: `${this.#file}:${line}`, expected, received, ...(hint ? { hint } : {}) };
    this.#issues.set(key, { issue, rows: 1 });
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** What is there of a row that lacks a field. */
function only(fields: Fields): string {
  const given = Object.keys(fields).filter((name) => fields[name] !== undefined && fields[name] !== null);
  return `only ${given.slice(0, 10).map(brief).join(", ") || "{}"}`;
}

const REGRESSION = "regression is not supported yet";

/**
 * CSV knows no types: labels that are all integers as JSON writes them become numbers, as do whole numbers some of which have
 * a fraction of zeros (pandas writes integers so when the column once held a NaN). All numbers but not all whole ones is
 * regression. The rest are names: also 01, +1 and integers of more digits than a number holds.
 */
function withIntegerLabels(
  examples: readonly Example[],
  file: string,
  lines: readonly number[],
): readonly Example[] {
  const labels = examples.flatMap(({ label }) => (label === undefined ? [] : [String(label)]));
  if (labels.length === 0) return examples;
  const asNumbers = () =>
    examples.map((example) =>
      // + 0: -0.0 is class 0.
      example.label === undefined ? example : { ...example, label: Number(example.label) + 0 },
    );
  if (labels.every(isWhole)) return asNumbers();
  if (!labels.every((label) => /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(label))) return examples;
  const row = examples.findIndex(({ label }) => label !== undefined && !isInteger(String(label)));
  if (row < 0) return examples;
  throw new DataError("ERR_ROWS", `${file}: labels are not classes`, [
    {
      path: `${file}:${lines[row] ?? row + 1}`,
      expected: "a class as label",
      received: String(examples[row]?.label),
      hint: REGRESSION,
    },
  ]);
}

/** As JSON writes an integer, or with a fraction of zeros. */
const isWhole = (label: string) => /^-?(0|[1-9]\d{0,14})(\.0*)?$/.test(label);
const isInteger = (label: string) => Number.isSafeInteger(Number(label)) || /^[-+]?\d+$/.test(label);
