/** Dataset files: CSV or TSV with a header row, or JSONL, with `text[,text_b],label`. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import { DataError } from "../errors.js";
import { csvRows } from "./csv.js";
import { DatasetBuilder } from "./dataset-builder.js";
import { type Line, readLines } from "./lines.js";
import { jsonlRows, type TableRow } from "./table.js";
import type { Dataset } from "./types.js";

export interface ReadOptions {
  /** false: rows may come without a label (a file that is only predicted on), and unusable labels are ignored. */
  readonly requireLabels: boolean;
  /** What "-" reads. @default process.stdin */
  readonly stdin?: AsyncIterable<Uint8Array>;
}

/**
 * Reads a whole file. Format by extension (.csv; .tsv; .jsonl, .ndjson, .json), else by the first character: "{" is JSONL,
 * all else CSV. Whether a CSV has tabs or semicolons for commas is never guessed.
 *
 * @param file path, or "-" for standard input.
 * @throws DataError with at most 10 kinds of problem, each naming its first line: ERR_DATA_FILE (cannot be opened),
 *   ERR_EMPTY (no rows), ERR_COLUMN (no text or label column), ERR_ROWS (bad rows), ERR_ENCODING, ERR_LINE_TOO_LONG, ERR_CSV.
 */
export async function readDataset(file: string, options: ReadOptions): Promise<Dataset> {
  const hash = createHash("sha256");
  const chunks = file === "-" ? (options.stdin ?? process.stdin) : openFile(file);
  const lines = readLines(chunks, file, hash);
  const builder = new DatasetBuilder(file, options.requireLabels);
  try {
    for await (const row of await rowsOf(lines, file)) builder.add(row);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    if (cause instanceof DataError || !/^E[A-Z]+$/.test(code)) throw cause;
    throw new DataError(
      "ERR_DATA_FILE",
      `${file}: cannot be read`,
      [{ path: file, expected: "a readable file", received: code === "ENOENT" ? "no such file" : code }],
      { cause },
    );
  }
  return builder.finish(hash.digest("hex"));
}

async function* openFile(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file) as AsyncIterable<Buffer>;
}

/** Chooses the format; the first line that is not blank has to be looked at when the extension says nothing. */
async function rowsOf(lines: AsyncGenerator<Line>, file: string): Promise<AsyncIterable<TableRow>> {
  const extension = path.extname(file).toLowerCase();
  const head: Line[] = [];
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    head.push(next.value);
    if (next.value.text.trim() !== "") break;
  }
  const all = (async function* () {
    yield* head;
    yield* lines;
  })();
  const start = head.at(-1)?.text.trim()[0];
  if (extension === ".tsv") return csvRows(all, file, "\t");
  const isCsv = extension === ".csv" || (!/^\.(jsonl|ndjson|json)$/.test(extension) && start !== "{");
  if (!isCsv && start === "[") {
    throw new DataError("ERR_ROWS", `${file}: a JSON array`, [
      {
        path: `${file}:1`,
        expected: "one JSON object a line",
        received: "[",
        hint: "in Python: df.to_json(path, orient='records', lines=True)",
      },
    ]);
  }
  return isCsv ? csvRows(all, file) : jsonlRows(all);
}
