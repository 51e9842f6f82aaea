/**
 * Added tokens ("[SEP]", "<mask>") written in a text are taken out before anything else, as `tokenizers` does: tokens marked
 * `normalized: false` from the raw text, the others from the normalised text. The leftmost match wins, then the longest.
 */
import { isWhitespace } from "./bert-text.js";

/** An entry of `added_tokens` in tokenizer.json. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A stretch of text still to be tokenised, or the id of an added token. */
export type Segment = string | number;

export class AddedTokens {
  readonly #pattern: RegExp | null;
  readonly #byContent: ReadonlyMap<string, AddedToken>;

  /** @param spell how a token is spelt in the text that will be split; the identity for raw text. */
  constructor(tokens: readonly AddedToken[], spell: (content: string) => string = (content) => content) {
    const spelt = tokens
      .map((token) => [spell(token.content), token] as const)
      .filter(([text]) => text !== "");
    this.#byContent = new Map(spelt);
    const alternatives = [...this.#byContent.keys()].sort((a, b) => b.length - a.length).map(escapeRegExp);
    this.#pattern = alternatives.length > 0 ? new RegExp(alternatives.join("|"), "gu") : null;
  }

  split(text: string): Segment[] {
    if (!this.#pattern) return [text];
    const out: Segment[] = [];
    let done = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#byContent.get(match[0])!;
      let from = match.index;
      let to = from + match[0].length;
      if (from < done) continue; // swallowed by the white space of the token before
      if (token.single_word && (endsInWord(text.slice(0, from)) || startsWithWord(text.slice(to)))) continue;
      if (token.lstrip) while (from > done && isWhitespace(text[from - 1]!)) from--;
      if (token.rstrip) while (to < text.length && isWhitespace(text[to]!)) to++;
      if (from > done) out.push(text.slice(done, from));
      out.push(token.id);
      done = to;
    }
    if (done < text.length) out.push(text.slice(done));
    return out;
  }
}

const escapeRegExp = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
const endsInWord = (text: string) => /[\p{L}\p{M}\p{N}_]$/u.test(text);
const startsWithWord = (text: string) => /^[\p{L}\p{M}\p{N}_]/u.test(text);
