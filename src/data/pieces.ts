/**
 * A long text read in pieces from the side that is kept, until enough tokens are there: the cost of a text is bounded by
 * max_length, but for a stretch without any end of a word (Korean without spaces, a file's bytes), which is read whole. The ids are those of the whole text, because a piece ends only where words end whatever
 * stands around.
 */
import { isWhitespace } from "./bert-text.js";
import { type Encode, isBertWordPiece, type TokenizerJson } from "./tokenizer-json.js";
import type { Words } from "./truncation.js";

/** Whether no word and no added token reaches across `at`: text[0, at) and text[at, …) may be encoded apart. 0 < at < length. */
export type WordEnds = (text: string, at: number) => boolean;

/** UTF-16 units of a piece: about 500 tokens of English. The piece that reaches max_length is read whole. */
const PIECE = 2048;

/** White space that clean_text makes a space of, and punctuation that single_word takes for no letter ("_" is one there). */
const ENDS = " \t\n\r\u3000!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~、。";

/** As `handle_chinese_chars` has them; those past U+FFFF are left out. */
const isIdeograph = (code: number) =>
  (code >= 0x3400 && code <= 0x4dbf) || (code >= 0x4e00 && code <= 0x9fff);

/** What becomes or may become a space where added tokens are looked for in the normalised text. */
const SPACED = /[\s\u3400-\u9fff\uf900-\ufaff\u{20000}-\u{2fa1f}]/u;

/**
 * Before a character of `ENDS` that is in no added token, and between two ideographs.
 *
 * @param json tokenizer.json, checked by `readTokenizerJson`.
 * @returns null for other kinds than BERT's WordPiece: what a cut changes there is not known.
 */
export function wordEndsOf(json: TokenizerJson): WordEnds | null {
  if (!isBertWordPiece(json)) return null;
  const { normalizer, added_tokens } = json;
  // Decomposed too: accents are stripped from the tokens that are looked for in the normalised text.
  const inTokens = (added_tokens ?? []).map(({ content }) => content + content.normalize("NFD")).join("");
  const spaced = SPACED.test(inTokens);
  const ends = new Set(
    Array.from(ENDS).filter((char) => !inTokens.includes(char) && !(spaced && isWhitespace(char))),
  );
  const ideographs = normalizer?.handle_chinese_chars !== false && !spaced;
  return (text, at) =>
    ends.has(text[at]!) ||
    (ideographs && isIdeograph(text.charCodeAt(at)) && isIdeograph(text.charCodeAt(at - 1)));
}

export interface ReadOptions {
  /** Enough are more than these: that many, and whether something is left. */
  readonly maxTokens: number;
  /** Where tokens are cut off: "right" reads from the beginning. */
  readonly side: "left" | "right";
  readonly wordEnds: WordEnds | null;
}

/** Words in the order of the text: all of them, or of its kept side enough for more than `maxTokens` tokens. */
export function readWords(text: string, encode: Encode, { maxTokens, side, wordEnds }: ReadOptions): Words {
  if (wordEnds === null || text.length <= PIECE) return encode(text);
  const pieces: Words[] = [];
  let tokens = 0;
  let [from, to] = [0, text.length]; // not read yet
  while (from < to && tokens <= maxTokens) {
    const at =
      side === "right" ? endAfter(text, from + PIECE, wordEnds) : endBefore(text, to - PIECE, wordEnds);
    const piece = encode(side === "right" ? text.slice(from, at) : text.slice(at, to));
    if (side === "right") from = at;
    else to = at;
    pieces.push(piece);
    for (const word of piece) tokens += word.length;
  }
  return (side === "right" ? pieces : pieces.reverse()).flat();
}

function endAfter(text: string, at: number, wordEnds: WordEnds): number {
  let end = at;
  while (end < text.length && !wordEnds(text, end)) end++;
  return Math.min(end, text.length);
}

function endBefore(text: string, at: number, wordEnds: WordEnds): number {
  let end = at;
  while (end > 0 && !wordEnds(text, end)) end--;
  return Math.max(end, 0);
}
