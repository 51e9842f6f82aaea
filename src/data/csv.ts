/** CSV and its tab-separated kind as a stream of rows. */
import { DataError } from "../errors.js";
import { type Line, MAX_LINE_BYTES } from "./lines.js";
import { brief, type TableRow } from "./table.js";

type Delimiter = "," | "\t";

/**
 * Separated by commas or tabs, quoted by ", first row the column names; columns without one (an index, what a spreadsheet
 * leaves behind the last) are left out. A quote inside an unquoted field is a plain character, as for Python's csv and
 * pandas; line breaks inside quotes are kept. Unlike there, what stands between a closing quote and the separator is an
 * error: it is how a text that begins with a plain quote swallows the rows below it.
 *
 * @throws DataError ERR_CSV for a quote that is never closed or not where a field ends, and for a column named twice.
 */
export async function* csvRows(
  lines: AsyncIterable<Line>,
  name: string,
  delimiter: Delimiter = ",",
): AsyncGenerator<TableRow> {
  const tooMany = ` (a ${nameOf(delimiter)} in a text needs quotes around it)`;
  let columns: readonly (readonly [name: string, index: number])[] | null = null;
  let width = 0; // fields of the header, with those that name no column
  for await (const { record, line, lines: count } of records(lines, name, delimiter)) {
    if (columns === null) {
      width = record.length;
      columns = record.map((field, i) => [field.trim(), i] as const).filter(([column]) => column !== "");
      const header = columns.map(([column]) => column);
      const twice = header.find((column, i) => header.indexOf(column) !== i);
      if (twice !== undefined) {
        throw csvError(name, line, "each column name once", `"${twice}" twice`);
      }
      yield { line, header };
      continue;
    }
    const isEmpty = record.length > 1 && record.every((field) => field.trim() === "");
    const row = { line, ...(count > 1 ? { lines: count } : {}), ...(isEmpty ? { isEmpty } : {}) };
    if (record.length === width) {
      yield { ...row, fields: Object.fromEntries(columns.map(([column, i]) => [column, record[i]])) };
    } else {
      const problem = {
        expected: `${width} fields, as in the header`,
        received: `${record.length}${record.length > width ? tooMany : ""}`,
      };
      yield { ...row, problem };
    }
  }
}

interface CsvRecord {
  readonly record: readonly string[];
  /** Line on which the record begins, and how many it takes. */
  readonly line: number;
  readonly lines: number;
}

/**
 * Records of a CSV; lines with nothing on them are skipped. Memory stays at one record. Own code because csv-parse takes a
 * quote inside an unquoted field only together with text after a closing quote (`relax_quotes`).
 */
async function* records(
  lines: AsyncIterable<Line>,
  name: string,
  delimiter: Delimiter,
): AsyncGenerator<CsvRecord> {
  let record: string[] = [];
  let headerLine = 0;
  let begin = 0; // the record's first line
  let size = 0; // characters of its lines
  let open: { readonly line: number; text: string } | null = null; // a quoted field that is not closed yet
  for await (const { number, text } of lines) {
    const end = text.search(/\r?\n?$/);
    if (!open) {
      if (end === 0) continue;
      [record, begin, size] = [[], number, 0];
    }
    headerLine ||= number;
    size += text.length;
    const separatorFrom = (at: number) => {
      const found = text.indexOf(delimiter, at);
      return found < 0 ? end : found;
    };
    // One field a turn, or what this line has of it; then `at` is the separator or the end.
    for (let at = 0; at <= end; at++) {
      const from = at;
      if (!open && text[at] !== '"') {
        at = separatorFrom(at);
        record.push(text.slice(from, at));
        continue;
      }
      if (!open) {
        open = { line: number, text: "" };
        at++;
      }
      const quote = closingQuote(text, at);
      open.text += text.slice(at, quote < 0 ? undefined : quote);
      if (quote < 0) break;
      at = quote + 1;
      while (text[at] === " ") at++; // blanks before the separator are nobody's
      if (at >= end || text[at] === delimiter) record.push(open.text.replaceAll('""', '"'));
      else if (number === headerLine) {
        // "text";"label": a name as it stands, so that the columns are missed and the hint is about the separator.
        at = separatorFrom(at);
        record.push(text.slice(from, at));
      } else {
        const expected = `a ${nameOf(delimiter)} or the end of the line after the closing quote`;
        const where = number === open.line ? "" : ` on line ${number}`;
        const received = `${JSON.stringify(brief(text.slice(at, end)))}${where}`;
        throw csvError(name, open.line, expected, received, PLAIN_QUOTES);
      }
      open = null;
    }
    if (!open) yield { record, line: begin, lines: number - begin + 1 };
    else if (size > MAX_LINE_BYTES) {
      const expected = `a record of at most ${MAX_LINE_BYTES} characters`;
      throw csvError(name, open.line, expected, "a longer one: is a quote left open?", PLAIN_QUOTES);
    }
  }
  if (open) {
    const received = "the end of the file inside quotes";
    throw csvError(name, open.line, "every quoted field closed", received, PLAIN_QUOTES);
  }
}

const PLAIN_QUOTES =
  'write such a text in quotes with its own doubled ("""Yes"" he said"), or the file as JSONL';

const nameOf = (delimiter: Delimiter) => (delimiter === "," ? "comma" : "tab");

/** Where the quote is that closes a field, -1 when not on this line; a doubled one is text. */
function closingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at;
}

function csvError(name: string, line: number, expected: string, received: string, hint?: string): DataError {
  return new DataError("ERR_CSV", `${name}: malformed CSV`, [
    { path: `${name}:${line}`, expected, received, ...(hint ? { hint } : {}) },
  ]);
}
