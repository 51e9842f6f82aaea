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

/** Drops `detail` columns, then breaks cells at their spaces, the widest first, until the table fits; what still does not is cut. */
function tableText(table: Table, width: number, paint: Paint): string {
  const shown = table.columns.flatMap((column, i) => (column.detail ? [] : [i]));
  const columns = shown.map((i) => table.columns[i]!);
  const rows = table.rows.map((row) => shown.map((i) => clean(row[i] ?? "")));
  const widths = columns.map((column, k) =>
    Math.max(...[column.label, ...rows.map((row) => row[k]!)].map(length)),
  );
  const gap = 2;
  const shrink = (least: readonly number[]) => {
    while (widths.reduce((sum, w) => sum + w, gap * (widths.length - 1)) > width) {
      const widest = Math.max(...widths.filter((w, k) => w > least[k]!));
      if (widest === Number.NEGATIVE_INFINITY) break;
      widths[widths.findIndex((w, k) => w === widest && w > least[k]!)]! -= 1;
    }
  };
  // Numbers stay whole; their headings may break.
  const unbroken = columns.map(({ label, align }, k) => {
    const cells = rows.map((row) => row[k]!);
    const parts = align === "right" ? cells : cells.flatMap((cell) => cell.split(" "));
    return Math.max(...[...label.split(" "), ...parts].map(length));
  });
  shrink(unbroken);
  shrink(columns.map(() => 4));
  const lines = (cells: readonly string[]) => {
    const broken = cells.map((cell, k) => wrap(cell, widths[k]!).split("\n"));
    return Array.from({ length: Math.max(...broken.map((parts) => parts.length)) }, (_, i) =>
      broken
        .map((parts, k) => pad(parts[i] ?? "", widths[k]!, columns[k]!))
        .join(" ".repeat(gap))
        .trimEnd(),
    ).join("\n");
  };
  const head = lines(columns.map((column) => clean(column.label)));
  const painted = head.split("\n").map((text) => paint("dim", text));
  return [wrap(clean(table.caption), width), ...painted, ...rows.map(lines)].join("\n");
}

function pad(cell: string, width: number, column: Column): string {
  const cut = length(cell) > width ? `${[...cell].slice(0, width - 1).join("")}…` : cell;
  const space = " ".repeat(width - length(cut));
  return column.align === "right" ? space + cut : cut + space;
}

function length(text: string): number {
  return [...text].length;
}

/** Breaks at spaces. A number keeps its sign and unit only as far as the words do. */
function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
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
