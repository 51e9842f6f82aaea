/** WordPiece: a word becomes the longest vocabulary entries from the left, or one unknown token. */
export class WordPiece {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #prefix: string;
  readonly #unknown: number;
  readonly #maxChars: number;
  /** Pieces of words seen before; cleared when full, so memory stays bounded on any text. */
  readonly #seen = new Map<string, readonly number[]>();

  /**
   * @param ids       token to id.
   * @param prefix    of every piece but a word's first: "##".
   * @param unknown   id of the unknown token.
   * @param maxChars  code points; longer words are unknown.
   */
  constructor(ids: ReadonlyMap<string, number>, prefix: string, unknown: number, maxChars: number) {
    this.#ids = ids;
    this.#prefix = prefix;
    this.#unknown = unknown;
    this.#maxChars = maxChars;
  }

  /** Ids of one word; never empty for a word that is not. */
  encode(word: string): readonly number[] {
    const known = this.#seen.get(word);
    if (known) return known;
    const pieces = this.#split(word);
    if (word.length <= 32) {
      if (this.#seen.size >= 50_000) this.#seen.clear();
      this.#seen.set(word, pieces);
    }
    return pieces;
  }

  #split(word: string): readonly number[] {
    // A character is two units at most: what is much longer, as base64 in a text, need not be taken apart to be counted.
    if (word.length > 2 * this.#maxChars) return [this.#unknown];
    const chars = Array.from(word);
    if (chars.length > this.#maxChars) return [this.#unknown];
    const pieces: number[] = [];
    let from = 0;
    while (from < chars.length) {
      let to = chars.length;
      let id: number | undefined;
      for (; to > from; to--) {
        const piece = chars.slice(from, to).join("");
        id = this.#ids.get(from === 0 ? piece : this.#prefix + piece);
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.#unknown];
      pieces.push(id);
      from = to;
    }
    return pieces;
  }
}
