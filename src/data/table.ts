/** CSV, its tab-separated kind and JSONL as one stream of records; what the columns mean is reader.ts's. */
import { parse } from "csv-parse";
import { DataError } from "../errors.js";
import { type Line, MAX_LINE_BYTES } from "./lines.js";

export interface TableRow {
  /** Line on which the row begins, from 1. */
  readonly line: number;
  /** Fields by column; CSV gives strings, JSONL whatever the file has. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Column names; CSV's first row has these and no fields. */
  readonly header?: readonly string[];
  /** Why the line is not a record. */
  readonly problem?: { readonly expected: string; readonly received: string };
}

/** One JSON object a line; blank lines are skipped. */
export async function* jsonlRows(lines: AsyncIterable<Line>): AsyncGenerator<TableRow> {
  for await (const { number, text } of lines) {
    if (text.trim() === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      const problem = {
        expected: "one JSON object",
        received: `not JSON: ${brief((error as Error).message)}`,
      };
      yield { line: number, problem };
      continue;
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      yield { line: number, fields: value as Record<string, unknown> };
    } else {
      yield {
        line: number,
        problem: { expected: "one JSON object", received: brief(text.trim()) },
      };
    }
  }
}

/**
 * Separated by commas or tabs, quoted by ", first row the column names. A quote inside an unquoted field is a plain
 * character, as for Python's csv and pandas; line breaks inside quotes are kept.
 *
 * @throws DataError ERR_CSV for a quote that is never closed and for a column named twice.
 */
export async function* csvRows(
  lines: AsyncIterable<Line>,
  name: string,
  delimiter: "," | "\t" = ",",
): AsyncGenerator<TableRow> {
  const tooMany = ` (a ${delimiter === "," ? "comma" : "tab"} in a text needs quotes around it)`;
  const parser = parse({
    delimiter,
    info: true,
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    record_delimiter: ["\r\n", "\n"],
    max_record_size: MAX_LINE_BYTES,
  });
  let header: readonly string[] | null = null;
  for await (const { record, line } of records(parser, lines, name)) {
    if (header === null) {
      header = record.map((column) => column.trim());
      const twice = header.find((column, i) => header?.indexOf(column) !== i);
      if (twice !== undefined) {
        throw csvError(name, line, "each column name once", `"${twice}" twice`);
      }
      yield { line, header };
      continue;
    }
    if (record.length === header.length) {
      yield { line, fields: Object.fromEntries(header.map((column, i) => [column, record[i]])) };
    } else {
      const problem = {
        expected: `${header.length} fields, as in the header`,
        received: `${record.length}${record.length > header.length ? tooMany : ""}`,
      };
      yield { line, problem };
    }
  }
}

interface CsvRecord {
  readonly record: readonly string[];
  /** Line on which the record begins. */
  readonly line: number;
}

/** Feeds the parser line by line and hands on what it has finished, so memory stays at one record. */
async function* records(
  parser: ReturnType<typeof parse>,
  lines: AsyncIterable<Line>,
  name: string,
): AsyncGenerator<CsvRecord> {
  // Lines of records that are not finished, empty ones left out. The parser's own line count takes a CRLF in quotes for two; its bytes are exact.
  const open: { readonly number: number; readonly end: number }[] = [];
  const ready: CsvRecord[] = [];
  let failure: Error | null = null;
  let bytes = 0;
  parser.on("data", ({ record, info }: { record: string[]; info: { bytes: number } }) => {
    ready.push({ record, line: open[0]?.number ?? 0 });
    while (open[0] && open[0].end <= info.bytes) open.shift();
  });
  parser.on("error", (error) => {
    failure = error;
  });
  const check = () => {
    if (failure) throw toDataError(failure, name, open[0]?.number ?? 0);
  };
  for await (const { number, text } of lines) {
    bytes += Buffer.byteLength(text);
    if (!/^\r?\n?$/.test(text)) open.push({ number, end: bytes });
    await new Promise<void>((resolve) => parser.write(text, () => resolve()));
    check();
    yield* ready.splice(0);
  }
  await new Promise<void>((resolve) => {
    parser.once("end", resolve).once("error", () => resolve());
    parser.end();
  });
  check();
  yield* ready.splice(0);
}

/** @param line where the record that failed begins. */
function toDataError(error: Error, name: string, line: number): DataError {
  const { code } = error as Error & { code?: string };
  if (code === "CSV_QUOTE_NOT_CLOSED") {
    return csvError(name, line, "every quoted field closed", "the end of the file inside quotes");
  }
  if (code === "CSV_MAX_RECORD_SIZE") {
    return csvError(
      name,
      line,
      `a record of at most ${MAX_LINE_BYTES} bytes`,
      "a longer one: is a quote left open?",
    );
  }
  return csvError(name, line, "well-formed CSV", brief(error.message));
}

function csvError(name: string, line: number, expected: string, received: string): DataError {
  return new DataError("ERR_CSV", `${name}: malformed CSV`, [
    { path: `${name}:${line}`, expected, received },
  ]);
}

/** At most 80 characters, for messages. */
export function brief(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
