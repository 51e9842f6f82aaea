/** Texts a program gives, as a dataset. They come from outside TypeScript too, so their form is checked like a file's. */
import { ConfigError, DataError, type Issue } from "../errors.js";
import { datasetOf } from "./reader.js";
import type { Dataset } from "./types.js";

/** A text, or a pair of texts. */
export type TextInput = string | { readonly text: string; readonly textB?: string | undefined };

const MAX_ISSUES = 10;
const EXPECTED = "a string, or an object with text and, for a pair, textB, both strings";

/**
 * @throws ConfigError ERR_TEXTS when `texts` is no array, DataError ERR_TEXTS naming the elements that are no texts,
 *   DataError ERR_ROWS for texts that are no valid Unicode.
 */
export function datasetOfTexts(texts: readonly TextInput[]): Dataset {
  if (!Array.isArray(texts)) {
    throw new ConfigError("ERR_TEXTS", "texts come as an array", [
      {
        path: "texts",
        expected: "an array of texts",
        received: kindOf(texts),
        hint: "[text] for a single one",
      },
    ]);
  }
  const issues: Issue[] = [];
  const rows = Array.from(texts as readonly unknown[], (given, i) => {
    const row = rowOf(given);
    if (!row) issues.push({ path: `texts[${i}]`, expected: EXPECTED, received: kindOf(given) });
    return row ?? { text: "" };
  });
  if (issues.length > 0) {
    const count = issues.length === 1 ? "1 element is no text" : `${issues.length} elements are no texts`;
    throw new DataError("ERR_TEXTS", `texts: ${count}`, issues.slice(0, MAX_ISSUES));
  }
  return datasetOf("texts", rows, { requireLabels: false });
}

function rowOf(given: unknown): { text: string; text_b?: string } | null {
  if (typeof given === "string") return { text: given };
  if (typeof given !== "object" || given === null) return null;
  const { text, textB } = given as { text?: unknown; textB?: unknown };
  if (typeof text !== "string") return null;
  if (textB === undefined || textB === null) return { text };
  return typeof textB === "string" ? { text, text_b: textB } : null;
}

/** What was given, in words: "a string", "null", "an object with the keys a, b". */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const keys = Object.entries(value).map(
    ([key, field]) => `${key}: ${field === null ? "null" : typeof field}`,
  );
  return `an object {${keys.slice(0, 5).join(", ")}${keys.length > 5 ? ", …" : ""}}`;
}
