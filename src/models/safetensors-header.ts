/**
 * The JSON header of a safetensors file, parsed by a scanner of exactly its grammar: one pass, no recursion, no general JSON
 * values, so nesting and a million keys cost no more than their bytes, duplicate keys are seen and integers stay exact.
 *
 *   {"__metadata__": {"k": "v"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
 */

/** A tensor as the header declares it, nothing checked against the others or the file yet. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  /** Integers in [0, 2⁵³]. */
  readonly shape: readonly number[];
  /** Bytes [begin, end) counted from the end of the header; integers in [0, 2⁵³]. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: readonly HeaderEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** What is wrong with a header; `tensor` when the fault lies within one. */
export class HeaderFault extends Error {
  readonly tensor: string | undefined;
  readonly expected: string;
  readonly received: string;

  constructor(expected: string, received: string, tensor?: string) {
    super(`expected ${expected}, received ${received}`);
    this.expected = expected;
    this.received = received;
    this.tensor = tensor;
  }
}

/** @throws HeaderFault */
export function parseHeader(text: string): Header {
  const scan = new Scanner(text);
  const entries: HeaderEntry[] = [];
  const names = new Set<string>();
  let metadata: Record<string, string> = {};
  scan.object((name) => {
    if (names.has(name)) throw new HeaderFault("each tensor once", "it twice", name);
    names.add(name);
    scan.tensor = name;
    if (name === "__metadata__") metadata = readMetadata(scan);
    else entries.push(readEntry(scan, name));
    scan.tensor = undefined;
  });
  scan.end();
  return { entries, metadata };
}

function readMetadata(scan: Scanner): Record<string, string> {
  const out: Record<string, string> = Object.create(null);
  scan.object((key) => {
    out[key] = scan.string();
  });
  return out;
}

function readEntry(scan: Scanner, name: string): HeaderEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scan.object((key) => {
    if (key === "dtype" && dtype === undefined) dtype = scan.string();
    else if (key === "shape" && !shape) shape = scan.integers();
    else if (key === "data_offsets" && !offsets) offsets = scan.integers();
    else throw new HeaderFault("dtype, shape and data_offsets, each once", `"${key}"`, name);
  });
  if (dtype === undefined) throw new HeaderFault("a dtype", "none", name);
  if (!shape) throw new HeaderFault("a shape", "none", name);
  if (offsets?.length !== 2) {
    throw new HeaderFault("data_offsets [begin, end]", offsets ? `${offsets.length} numbers` : "none", name);
  }
  return { name, dtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

class Scanner {
  readonly #text: string;
  #at = 0;
  /** The tensor being read, for faults. */
  tensor: string | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** `{"key": …, …}`; `value` must consume each value. */
  object(value: (key: string) => void): void {
    this.#expect("{");
    if (this.#skip("}")) return;
    do {
      const key = this.string();
      this.#expect(":");
      value(key);
    } while (this.#skip(","));
    this.#expect("}");
  }

  integers(): number[] {
    const out: number[] = [];
    this.#expect("[");
    if (this.#skip("]")) return out;
    do out.push(this.#integer());
    while (this.#skip(","));
    this.#expect("]");
    return out;
  }

  string(): string {
    this.#expect('"');
    const from = this.#at;
    let to = this.#text.indexOf('"', from);
    // An odd run of backslashes before it escapes the quote.
    while (to >= 0 && this.#backslashesBefore(to, from) % 2 === 1) to = this.#text.indexOf('"', to + 1);
    if (to < 0) throw this.#fault("a closed string", "the end of the header");
    this.#at = to + 1;
    try {
      return JSON.parse(this.#text.slice(from - 1, to + 1)) as string;
    } catch {
      throw this.#fault("a JSON string", quote(this.#text.slice(from - 1, to + 1)));
    }
  }

  /** Nothing but the padding may follow. */
  end(): void {
    this.#blanks();
    if (this.#at < this.#text.length) throw this.#fault("the end of the header", this.#here());
  }

  #integer(): number {
    this.#blanks();
    const match = /-?[0-9][0-9.eE+-]*/y;
    match.lastIndex = this.#at;
    const digits = match.exec(this.#text)?.[0];
    if (digits === undefined) throw this.#fault("an integer", this.#here());
    this.#at += digits.length;
    const value = Number(digits);
    if (!/^(0|[1-9][0-9]*)$/.test(digits) || value > Number.MAX_SAFE_INTEGER) {
      throw this.#fault("an integer from 0 to 2^53", quote(digits));
    }
    return value;
  }

  #backslashesBefore(at: number, from: number): number {
    let count = 0;
    while (at - count > from && this.#text.charCodeAt(at - count - 1) === 92) count++;
    return count;
  }

  #blanks(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.#at++;
    }
  }

  #skip(char: string): boolean {
    this.#blanks();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#skip(char)) throw this.#fault(`"${char}" at byte ${this.#at} of the header`, this.#here());
  }

  #here(): string {
    return this.#at < this.#text.length
      ? quote(this.#text.slice(this.#at, this.#at + 20))
      : "the end of the header";
  }

  #fault(expected: string, received: string): HeaderFault {
    return new HeaderFault(expected, received, this.tensor);
  }
}

const quote = (text: string) => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
