/** JSON → findings, checked before anything is drawn. The inverse of `renderJson`. */
import type { z } from "zod";
import type { Issue } from "../errors.js";
import type { SearchFindings } from "./findings.js";
import { REPORT_FORMAT } from "./json.js";
import { findingsSchema } from "./schema.js";

/** Problems past these say nothing new: a file of another kind lacks everything. */
const MOST = 8;

/** The findings, or what is wrong with them: each issue's path is that of a key. */
export function parseReport(value: unknown): { findings: SearchFindings } | { issues: Issue[] } {
  const format = (value as { readonly format?: unknown } | null)?.format;
  if (format !== undefined && format !== REPORT_FORMAT)
    return { issues: [{ path: "format", expected: REPORT_FORMAT, received: brief(format) }] };
  const parsed = findingsSchema.safeParse(value, { reportInput: true });
  if (parsed.success) return { findings: parsed.data };
  return { issues: parsed.error.issues.slice(0, MOST).map(toIssue) };
}

function toIssue(issue: z.core.$ZodIssue): Issue {
  return {
    path: issue.path.join(".") || "the whole",
    expected: expectation(issue),
    received: issue.input === undefined ? "nothing" : brief(issue.input),
  };
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value")
    return `one of ${issue.values.map((one) => JSON.stringify(one)).join(", ")}`;
  // Every union of the schema is a number or what stands for one.
  if (issue.code !== "invalid_type") return "a number";
  if (issue.expected === "array") return "a list";
  return /^[aeio]/.test(issue.expected) ? `an ${issue.expected}` : `a ${issue.expected}`;
}

function brief(input: unknown): string {
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object" && input !== null) return "an object";
  return JSON.stringify(input).slice(0, 60);
}
