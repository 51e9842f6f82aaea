/**
 * Text to words as BERT does it: clean, space out ideographs, strip accents, lower-case, then split at white space and
 * punctuation. Equal to `BertNormalizer` and `BertPreTokenizer` of Hugging Face `tokenizers` for every code point
 * (tests/unit/data/bert-text.test.ts); @huggingface/tokenizers is not (ideographs past U+FFFF, final sigma, newer Unicode).
 */
import { BLANK, IDEOGRAPH, NONSPACING, PUNCTUATION, REMOVED, WHITESPACE } from "./unicode-tables.js";

/** The normaliser's switches, named as in tokenizer.json. */
export interface BertNormalizer {
  readonly clean_text: boolean;
  readonly handle_chinese_chars: boolean;
  /** null: strip exactly when lower-casing. */
  readonly strip_accents: boolean | null;
  readonly lowercase: boolean;
}

const REMOVE = 1;
const TO_SPACE = 2;
const SPACE = 4;
const PUNCT = 8;
const HAN = 16;
const MARK = 32;

// Composed characters that Unicode 13 to 16 added and that tokenizers 0.23 leaves whole: what a newer Node would take
// apart must not depend on the Node.
const NOT_DECOMPOSED = "105c9 105e4 11383 11385 1138e 11391 113c5 113c7-113c8 11938 16121-16128 16d68-16d6a";
const WHOLE = 64;

/** Bits of each code point; 1.1 MB, built at the first text that is not plain ASCII. */
let bitsOf: Uint8Array | undefined;

function table(): Uint8Array {
  if (bitsOf) return bitsOf;
  const bits = new Uint8Array(0x110000);
  const mark = (ranges: string, bit: number) => {
    for (const range of ranges.trim().split(/\s+/)) {
      const [from, to] = range.split("-") as [string, string?];
      const last = Number.parseInt(to ?? from, 16);
      for (let c = Number.parseInt(from, 16); c <= last; c++) bits[c]! |= bit;
    }
  };
  mark(REMOVED, REMOVE);
  mark("d800-dfff", REMOVE); // a lone surrogate: no character, and no UTF-8
  mark(BLANK, TO_SPACE);
  mark(WHITESPACE, SPACE);
  mark(PUNCTUATION, PUNCT);
  mark(IDEOGRAPH, HAN);
  mark(NONSPACING, MARK);
  mark(NOT_DECOMPOSED, WHOLE);
  bitsOf = bits;
  return bits;
}

/** `text` as the vocabulary spells it. The steps and their order are those of `tokenizers`. */
export function normalizeBert(text: string, options: BertNormalizer): string {
  const strip = options.strip_accents ?? options.lowercase;
  if (isPlainAscii(text)) return options.lowercase ? text.toLowerCase() : text;
  const bits = table();
  let out = "";
  for (const char of text) {
    const kind = bits[char.codePointAt(0)!]!;
    if (options.clean_text && kind & REMOVE) continue;
    if (options.clean_text && kind & TO_SPACE) out += " ";
    else if (options.handle_chinese_chars && kind & HAN) out += ` ${char} `;
    else out += char;
  }
  if (strip) out = stripAccents(out, bits);
  return options.lowercase ? lowercase(out) : out;
}

/** Words of a normalised text: maximal runs without white space and punctuation, and each punctuation mark alone. */
export function splitBert(text: string): string[] {
  if (isPlainAscii(text)) return text.match(/[0-9A-Za-z]+|[!-/:-@[-`{-~]/g) ?? [];
  const bits = table();
  const words: string[] = [];
  let word = "";
  const flush = () => {
    if (word !== "") words.push(word);
    word = "";
  };
  for (const char of text) {
    const kind = bits[char.codePointAt(0)!]!;
    if (kind & (SPACE | PUNCT)) {
      flush();
      if (kind & PUNCT) words.push(char);
    } else word += char;
  }
  flush();
  return words;
}

/** White space as the added-token options lstrip and rstrip see it. */
export function isWhitespace(char: string): boolean {
  return (table()[char.codePointAt(0)!]! & SPACE) !== 0;
}

/** Nothing but visible ASCII and spaces: no step but lower-casing changes it. */
function isPlainAscii(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

function stripAccents(text: string, bits: Uint8Array): string {
  // Decompose the runs between characters that stay whole: normalize() reorders marks only within a run.
  let decomposed = "";
  let run = "";
  for (const char of text) {
    if (bits[char.codePointAt(0)!]! & WHOLE) {
      decomposed += run.normalize("NFD") + char;
      run = "";
    } else run += char;
  }
  decomposed += run.normalize("NFD");
  let out = "";
  for (const char of decomposed) if (!(bits[char.codePointAt(0)!]! & MARK)) out += char;
  return out;
}

/** Character by character: `toLowerCase` of a whole word would turn a last Σ into ς, tokenizers does not. */
function lowercase(text: string): string {
  let out = "";
  for (const char of text) out += char.toLowerCase();
  return out;
}
