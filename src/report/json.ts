/** Findings → JSON for programs. `format` names the shape and is raised when it changes. */
import type { SearchFindings } from "./findings.js";

export const REPORT_FORMAT = "permafrost-report/1";

/** JSON has no NaN and no infinity: they become null, as for a trial without a value. */
export function renderJson(findings: SearchFindings): string {
  const finite = (_key: string, value: unknown) =>
    typeof value === "number" && !Number.isFinite(value) ? null : value;
  return `${JSON.stringify({ format: REPORT_FORMAT, ...findings }, finite, 2)}\n`;
}
