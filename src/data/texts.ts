/** Texts a program gives, as a dataset. They come from outside TypeScript too, so their form is checked like a file's. */
import { ConfigError, DataError, type Issue } from "../errors.js";
import { closest } from "./closest.js";
import { DatasetBuilder } from "./dataset-builder.js";
import type { Dataset } from "./types.js";

/** A text, or a pair of texts; `text_b`, as files call it, is the same as `textB`. */
export type TextInput =
  | string
  | { readonly text: string; readonly textB?: string | undefined; readonly text_b?: undefined }
  | { readonly text: string; readonly text_b?: string | undefined; readonly textB?: undefined };

const MAX_ISSUES = 10;
const EXPECTED = "a string, or an object with text and, for a pair, textB, both strings";

/**
 * Its hash is "": nobody asks for it, and it would take several times as long as the checks.
 *
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
    if (row) return row;
    const hint = hintFor(given);
    issues.push({
      path: `texts[${i}]`,
      expected: EXPECTED,
      received: kindOf(given),
      ...(hint ? { hint } : {}),
    });
    return { text: "" };
  });
  if (issues.length > 0) {
    const count = issues.length === 1 ? "1 element is no text" : `${issues.length} elements are no texts`;
    throw new DataError("ERR_TEXTS", `texts: ${count}`, issues.slice(0, MAX_ISSUES));
  }
  const builder = new DatasetBuilder("texts", false);
  for (const [i, fields] of rows.entries()) builder.add({ line: i + 1, fields });
  return builder.finish("");
}

const KEYS = ["text", "textB", "text_b"];

/** null when it is no text: also with a key that nobody would read, which is a second text misspelt. */
function rowOf(given: unknown): { text: string; text_b?: string } | null {
  if (typeof given === "string") return { text: given };
  if (typeof given !== "object" || given === null || unknownKey(given) !== undefined) return null;
  const { text, textB, text_b } = given as Readonly<Record<string, unknown>>;
  if (typeof text !== "string" || (isGiven(textB) && isGiven(text_b))) return null;
  const second = textB ?? text_b;
  if (!isGiven(second)) return { text };
  return typeof second === "string" ? { text, text_b: second } : null;
}

const isGiven = (value: unknown) => value !== undefined && value !== null;

const unknownKey = (given: object) =>
  Object.entries(given).find(([key, value]) => value !== undefined && !KEYS.includes(key))?.[0];

function hintFor(given: unknown): string | undefined {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return undefined;
  const key = unknownKey(given);
  if (key === undefined)
    return "textB" in given && "text_b" in given ? "textB and text_b are one" : undefined;
  const near = closest(
    key,
    KEYS.filter((known) => !(known in given)),
  );
  return near ? `${key}: did you mean ${near}?` : `${key} is not read`;
}

/** What was given, in words: "a string", "null", "an object {a: string, b: null}". */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const keys = Object.entries(value).map(
    ([key, field]) => `${key}: ${field === null ? "null" : typeof field}`,
  );
  return `an object {${keys.slice(0, 5).join(", ")}${keys.length > 5 ? ", …" : ""}}`;
}
