/**
 * Document → one HTML file: style and pictures inside, no script, nothing loaded from anywhere (the content security
 * policy in its head forbids it). Opens from disk, light and dark, prints.
 */
import type { Block, Figure, List, Notice, Paragraph, ReportDocument, Section, Table } from "./document.js";
import { drawSvg } from "./plots/draw.js";
import { STYLE } from "./style.js";

export async function renderHtml(report: ReportDocument): Promise<string> {
  const sections: string[] = [];
  for (const section of report.sections) sections.push(await sectionHtml(section));
  const links = report.sections
    .map((s) => `<a href="#${escapeHtml(s.id)}">${escapeHtml(s.title)}</a>`)
    .join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(report.title)} · permafrost</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="brand">permafrost</p>
<h1>${escapeHtml(report.title)}</h1>
<p class="subtitle">${escapeHtml(report.subtitle)}</p>
<nav aria-label="Sections">${links}</nav>
</header>
<main>
${sections.join("\n")}
</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

async function sectionHtml(section: Section): Promise<string> {
  const id = escapeHtml(section.id);
  const blocks: string[] = [];
  for (const block of section.blocks) blocks.push(await blockHtml(block));
  return `<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${escapeHtml(section.title)}</h2>
${blocks.join("\n")}
</section>`;
}

function blockHtml(block: Block): string | Promise<string> {
  switch (block.kind) {
    case "paragraph":
      return paragraphHtml(block);
    case "notice":
      return noticeHtml(block);
    case "list":
      return listHtml(block);
    case "table":
      return tableHtml(block);
    case "figure":
      return figureHtml(block);
    default:
      return block satisfies never;
  }
}

function paragraphHtml({ text }: Paragraph): string {
  return `<p>${escapeHtml(text)}</p>`;
}

function noticeHtml({ tone, label, text, more = [] }: Notice): string {
  const paragraphs = [text, ...more].map((part) => `<p>${escapeHtml(part)}</p>`).join("");
  return `<div class="notice ${tone}" role="note"><strong>${escapeHtml(label)}</strong>${paragraphs}</div>`;
}

function listHtml({ items }: List): string {
  return `<ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join("\n")}</ul>`;
}

/** Browsers break a line after the hyphen of 2.9e-6. */
function unbroken(html: string): string {
  return html.replace(/\b\d[\d.]*e-\d+\b/g, '<span class="rate">$&</span>');
}

function tableHtml({ caption, columns, rows, note }: Table): string {
  const side = (i: number) => (columns[i]?.align === "right" ? ' class="number"' : "");
  const head = columns.map((c, i) => `<th scope="col"${side(i)}>${escapeHtml(c.label)}</th>`).join("");
  const body = rows
    .map((cells) => {
      const inner = cells.map((cell, i) =>
        i === 0
          ? `<th scope="row"${side(0)}>${escapeHtml(cell)}</th>`
          : `<td${side(i)}>${unbroken(escapeHtml(cell))}</td>`,
      );
      return `<tr>${inner.join("")}</tr>`;
    })
    .join("\n");
  const below = note ? `<p class="note">${escapeHtml(note)}</p>` : "";
  // Focusable, as figures are: what is wider than the screen is scrolled with the keyboard too.
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table${columns.length === 2 ? ' class="pairs"' : ""}><caption>${escapeHtml(caption)}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body}
</tbody></table></div>${below}`;
}

async function figureHtml({ title, alt, caption, plot }: Figure): Promise<string> {
  // Inside HTML an svg needs no namespace, and without it the file names no address at all.
  const svg = (await drawSvg(plot)).replace(/ xmlns(:\w+)?="[^"]*"/g, "");
  return `<figure role="group" aria-label="${escapeHtml(title)}">
<h3>${escapeHtml(title)}</h3>
<div class="plot" role="img" aria-label="${escapeHtml(alt)}" tabindex="0">${svg}</div>
<figcaption>${escapeHtml(caption)}</figcaption>
</figure>`;
}
