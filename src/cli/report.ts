import { readFile } from "node:fs/promises";
import { buildReport, DataError, parseReport, renderHtml, renderJson, renderTerminal } from "../index.js";
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
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError(
      "ERR_REPORT",
      `${file}: not a report`,
      [{ path: file, expected: "report.json of a search", received: (cause as Error).message }],
      { cause },
    );
  }
  const parsed = parseReport(value);
  if ("issues" in parsed)
    throw new DataError("ERR_REPORT", `${file}: not a report of a search`, parsed.issues);
  const { findings } = parsed;
  const report = buildReport(findings);
  if (html !== undefined) await writeFileAtomic(html, await renderHtml(report));
  terminal.out(
    json ? renderJson(findings) : renderTerminal(report, { width: terminal.width, color: terminal.color }),
  );
}
