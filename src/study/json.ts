/**
 * JSON as Optuna stores it. Python's `json.dumps` writes bare NaN and Infinity and integers of any size; `JSON.parse`
 * throws on the first and rounds the second. Reading accepts both; writing stays inside the standard.
 */

import { StoreError } from "../errors.js";

/** Anything that only Python's dialect, or a number too long for a double, could contain. */
const NEEDS_CARE = /NaN|Infinity|\d{16}/;

/**
 * Parses JSON text, Python's dialect included: `NaN`, `Infinity`, `-Infinity`; integers beyond ±2^53 become BigInt.
 *
 * @throws SyntaxError with the position.
 */
export function readJson(text: string): unknown {
  return NEEDS_CARE.test(text) ? new Reader(text).document() : (JSON.parse(text) as unknown);
}

/** A value that was read, for writing: numbers that only Python's dialect has become null. */
export function withinStandard(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(withinStandard);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withinStandard(item)]));
}

/**
 * The text `json.dumps` would write: ", " and ": " between items, ASCII only. `undefined` members are left out.
 *
 * @param where what is being stored, for the error: "user attr arm".
 * @throws StoreError for NaN, infinities, functions and cycles: they would be unreadable to strict readers.
 */
export function writeJson(value: unknown, where: string): string {
  return write(value, where, []);
}

function write(value: unknown, where: string, parents: readonly object[]): string {
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw unwritable(where, String(value));
    return Number.isInteger(value) && Math.abs(value) < 1e16 ? integerText(value) : pythonFloat(value);
  }
  if (typeof value !== "object") throw unwritable(where, typeof value);
  if (parents.includes(value)) throw unwritable(where, "a cycle");
  const inside = [...parents, value];
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return write(Array.from(value as unknown as ArrayLike<number>), where, parents);
  }
  if (Array.isArray(value)) {
    return `[${value.map((item, i) => write(item, `${where}[${i}]`, inside)).join(", ")}]`;
  }
  if (value instanceof Date) return quote(value.toISOString());
  if (value instanceof Map || value instanceof Set) throw unwritable(where, value.constructor.name);
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${members.map(([key, item]) => `${quote(key)}: ${write(item, `${where}.${key}`, inside)}`).join(", ")}}`;
}

function unwritable(where: string, received: string): StoreError {
  return new StoreError("ERR_STORE_JSON", "A study attribute cannot be stored as JSON", [
    { path: where, expected: "finite numbers, strings, booleans, null, arrays and plain objects", received },
  ]);
}

function quote(text: string): string {
  // JSON.stringify is well-formed (lone surrogates escaped); what is left above ASCII is escaped as Python does.
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const integerText = (value: number) => (Object.is(value, -0) ? "-0.0" : String(value));

/** A finite double as Python's `repr` prints it: "1e-05", "0.0001", "1.0", "1e+16". */
export function pythonFloat(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  // Both languages print the shortest digits that read back as the same double; only the layout differs.
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const digits = String(Math.abs(exponent)).padStart(2, "0");
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
  }
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    if (this.#peek() !== undefined) throw this.#error();
    return value;
  }

  #peek(): string | undefined {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at += 1;
    return this.#text[this.#at];
  }

  #error(): SyntaxError {
    const found = this.#text[this.#at];
    return new SyntaxError(
      `Unexpected ${found === undefined ? "end" : `"${found}"`} at position ${this.#at}`,
    );
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }

  #value(): unknown {
    const next = this.#peek();
    if (next === "{") return this.#object();
    if (next === "[") return this.#array();
    if (next === '"') return this.#string();
    const word = this.#take(/-?Infinity|NaN|true|false|null/y);
    if (word !== undefined) {
      return word === "null" ? null : word === "true" ? true : word === "false" ? false : Number(word);
    }
    const number = this.#take(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    if (number === undefined) throw this.#error();
    const value = Number(number);
    return /^-?\d+$/.test(number) && !Number.isSafeInteger(value) ? BigInt(number) : value;
  }

  #string(): string {
    const quoted = this.#take(/"(?:[^"\\]|\\.)*"/y);
    if (quoted === undefined) throw this.#error();
    return JSON.parse(quoted) as string;
  }

  #array(): unknown[] {
    const items: unknown[] = [];
    this.#at += 1;
    if (this.#peek() === "]") {
      this.#at += 1;
      return items;
    }
    for (;;) {
      items.push(this.#value());
      if (this.#separator("]")) return items;
    }
  }

  #object(): Record<string, unknown> {
    const members: [string, unknown][] = [];
    this.#at += 1;
    if (this.#peek() === "}") {
      this.#at += 1;
      return {};
    }
    for (;;) {
      this.#peek();
      const key = this.#string();
      if (this.#peek() !== ":") throw this.#error();
      this.#at += 1;
      members.push([key, this.#value()]);
      if (this.#separator("}")) return Object.fromEntries(members);
    }
  }

  /** Steps over "," or `end`; true at the end. */
  #separator(end: string): boolean {
    const next = this.#peek();
    if (next !== "," && next !== end) throw this.#error();
    this.#at += 1;
    return next === end;
  }
}
