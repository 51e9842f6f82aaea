import { readFile } from "node:fs/promises";
import { buildReport, DataError, renderHtml, renderTerminal, type SearchFindings } from "../index.js";
import { writeFileAtomic } from "../models/atomic.js";
import type { Context } from "./main.js";

export async function reportCommand(
  file: string,
  html: string | undefined,
  { terminal, json }: Context,
): Promise<void> {
  const text = await readFile(file, "utf8").catch((cause) => {
    throw new DataError(
      "ERR_REPORT",
      `${file}: cannot be read`,
      [{ path: file, expected: "report.json of a search", received: cause.code }],
      { cause },
    );
  });
  let findings: SearchFindings;
  try {
    const parsed = JSON.parse(text) as SearchFindings & { readonly findings?: SearchFindings };
    findings = parsed.findings ?? parsed;
    if (!Array.isArray(findings.trials) || !findings.study) throw new SyntaxError("no study in it");
  } catch (cause) {
    throw new DataError(
      "ERR_REPORT",
      `${file}: not a report`,
      [{ path: file, expected: "report.json of a search", received: (cause as Error).message }],
      { cause },
    );
  }
  const report = buildReport(findings);
  if (html !== undefined) await writeFileAtomic(html, await renderHtml(report));
  terminal.out(
    json
      ? JSON.stringify(findings, null, 2)
      : renderTerminal(report, { width: terminal.width, color: terminal.color }),
  );
}
