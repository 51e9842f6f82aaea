/** Document → plain text for a terminal: the blocks marked brief, wrapped to its width. Returns text; the CLI writes it. */
import type { Block, Column, ReportDocument, Table } from "./document.js";

export interface TerminalOptions {
  /** Columns of the terminal; lines never get longer unless one word is. @default 80 */
  readonly width?: number;
  /** ANSI bold and colours. @default false */
  readonly color?: boolean;
}

type Paint = (style: keyof typeof CODES, text: string) => string;
const CODES = { bold: "1", dim: "2", result: "1;36", info: "1", warning: "1;33" } as const;

export function renderTerminal(report: ReportDocument, options: TerminalOptions = {}): string {
  const { color = false } = options;
  const width = Math.max(40, options.width ?? 80);
  const paint: Paint = (style, text) => (color ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text);
  const parts = [`${paint("bold", clean(report.title))}\n${wrap(clean(report.subtitle), width)}`];
  for (const section of report.sections) {
    const brief = section.blocks.filter((block) => block.brief);
    if (brief.length === 0) continue;
    const body = brief.map((block) => blockText(block, width, paint)).join("\n\n");
    parts.push(`${paint("bold", clean(section.title))}\n${body}`);
  }
  return `${parts.join("\n\n")}\n`;
}

/** Names come from files: a control character in one must not reach the terminal. */
function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}

function blockText(block: Block, width: number, paint: Paint): string {
  switch (block.kind) {
    case "paragraph":
      return wrap(clean(block.text), width);
    case "notice": {
      const label = `${clean(block.label)}. `;
      const text = [label + clean(block.text), ...(block.more ?? []).map(clean)]
        .map((part) => wrap(part, width))
        .join("\n");
      return paint(block.tone, text.slice(0, label.length - 1)) + text.slice(label.length - 1);
    }
    case "list":
      return block.items
        .map((item) => `- ${wrap(clean(item), width - 2).replaceAll("\n", "\n  ")}`)
        .join("\n");
    case "table":
      return tableText(block, width, paint);
    case "figure":
      return wrap(clean(block.alt), width);
    default:
      return block satisfies never;
  }
}

/** No cell is broken narrower than this. */
const LEAST = 4;

/** Drops `detail` columns, then breaks cells, the widest first, until the table fits. Nothing is cut off. */
function tableText(table: Table, width: number, paint: Paint): string {
  const shown = table.columns.flatMap((column, i) => (column.detail ? [] : [i]));
  const columns = shown.map((i) => table.columns[i]!);
  const headings = columns.map((column) => clean(column.label));
  const rows = table.rows.map((row) => shown.map((i) => clean(row[i] ?? "")));
  const cells = columns.map((_, k) => rows.map((row) => row[k]!));
  const longest = (texts: readonly string[]) => Math.max(...texts.map(length));
  const words = (texts: readonly string[]) => texts.flatMap((text) => text.split(" "));
  const widths = columns.map((_, k) => longest([headings[k]!, ...cells[k]!]));
  const gap = 2;
  const shrink = (least: readonly number[]) => {
    while (widths.reduce((sum, w) => sum + w, gap * (widths.length - 1)) > width) {
      const widest = Math.max(...widths.filter((w, k) => w > least[k]!));
      if (widest === Number.NEGATIVE_INFINITY) break;
      widths[widths.findIndex((w, k) => w === widest && w > least[k]!)]! -= 1;
    }
  };
  // What may break, the least of a loss first: at spaces all but numbers, words of headings, numbers at spaces, any word.
  const unbroken = columns.map(({ align }, k) => (align === "right" ? cells[k]! : words(cells[k]!)));
  shrink(unbroken.map((texts, k) => longest([...texts, ...words([headings[k]!])])));
  shrink(unbroken.map((texts) => Math.max(LEAST, longest(texts))));
  shrink(cells.map((texts) => Math.max(LEAST, longest(words(texts)))));
  shrink(columns.map(() => LEAST));
  const lines = (texts: readonly string[]) => {
    const broken = texts.map((text, k) => wrap(text, widths[k]!, "words too").split("\n"));
    return Array.from({ length: Math.max(...broken.map((parts) => parts.length)) }, (_, i) =>
      broken
        .map((parts, k) => pad(parts[i] ?? "", widths[k]!, columns[k]!))
        .join(" ".repeat(gap))
        .trimEnd(),
    ).join("\n");
  };
  const painted = lines(headings)
    .split("\n")
    .map((text) => paint("dim", text));
  return [wrap(clean(table.caption), width), ...painted, ...rows.map(lines)].join("\n");
}

function pad(cell: string, width: number, column: Column): string {
  const space = " ".repeat(width - length(cell));
  return column.align === "right" ? space + cell : cell + space;
}

function length(text: string): number {
  return [...text].length;
}

/** Breaks at spaces; a word that is longer than a line stays whole, unless words are to break too. */
function wrap(text: string, width: number, breaks?: "words too"): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).flatMap((word) => (breaks ? pieces(word, width) : [word]))) {
    if (line !== "" && length(line) + 1 + length(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.join("\n");
}

function pieces(word: string, width: number): string[] {
  return word.match(new RegExp(`.{1,${width}}`, "gsu")) ?? [];
}
