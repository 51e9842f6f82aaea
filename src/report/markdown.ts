/** Document → Markdown (tables as GitHub reads them). Figures become their description: the pictures are in the HTML. */
import type { Block, ReportDocument, Table } from "./document.js";

export function renderMarkdown(report: ReportDocument): string {
  const parts = [`# ${escapeMarkdown(report.title)}`, escapeMarkdown(report.subtitle)];
  for (const section of report.sections) {
    parts.push(`## ${escapeMarkdown(section.title)}`);
    for (const block of section.blocks) parts.push(blockMarkdown(block));
  }
  return `${parts.join("\n\n")}\n`;
}

/** Text that Markdown, or the HTML inside it, would take for markup. Line breaks become spaces. */
function escapeMarkdown(text: string): string {
  return text
    .replace(/\s*[\r\n]+\s*/g, " ")
    .replace(/[\\`*_[\]#|~]/g, "\\$&")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}

function blockMarkdown(block: Block): string {
  switch (block.kind) {
    case "paragraph":
      return escapeMarkdown(block.text);
    case "notice":
      return [
        `> **${escapeMarkdown(block.label)}.** ${escapeMarkdown(block.text)}`,
        ...(block.more ?? []).map((part) => `> ${escapeMarkdown(part)}`),
      ].join("\n>\n");
    case "list":
      return block.items.map((item) => `- ${escapeMarkdown(item)}`).join("\n");
    case "table":
      return tableMarkdown(block);
    case "figure":
      return `*${escapeMarkdown(block.title)}.* ${escapeMarkdown(block.alt)}`;
    default:
      return block satisfies never;
  }
}

function tableMarkdown({ caption, columns, rows, note }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeMarkdown).join(" | ")} |`;
  const rule = `|${columns.map((c) => (c.align === "right" ? "---:" : "---")).join("|")}|`;
  const table = [line(columns.map((c) => c.label)), rule, ...rows.map(line)].join("\n");
  const below = note ? `\n\n${escapeMarkdown(note)}` : "";
  return `**${escapeMarkdown(caption)}**\n\n${table}${below}`;
}
