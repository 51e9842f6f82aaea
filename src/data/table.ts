/** A table as a stream of rows, and JSONL as one; CSV is csv.ts's, what the columns mean dataset-builder.ts's. */
import type { Line } from "./lines.js";

export interface TableRow {
  /** Line on which the row begins, from 1. */
  readonly line: number;
  /** Fields by column; CSV gives strings, JSONL whatever the file has. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** How many lines it takes, where a CSV's quoted field has line breaks. @default 1 */
  readonly lines?: number;
  /** Every field of the several is empty: Excel writes such rows below a table. */
  readonly isEmpty?: true;
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

/** At most 80 characters, for messages. */
export function brief(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
