/** Hugging Face's `truncation=True` ("longest_first"): how many tokens of each text stay. */

/** Tokens of a text, word by word; of a long text only its kept side, which is more than maxLength tokens (pieces.ts). */
export type Words = readonly (readonly number[])[];

export interface TruncationOptions {
  /** Most tokens, special ones included. */
  readonly maxLength: number;
  /** How many of those are special, ≤ maxLength. */
  readonly special: number;
  /** Where tokens are cut off. */
  readonly side: "left" | "right";
}

/**
 * One text keeps `maxLength - special` tokens. Of a pair the longer text gives way first; when the shorter alone takes more
 * than half, both get half, and the odd token goes to the longer one (to the second when they are equally long).
 *
 * Which is longer is decided as tokenizers 0.23 does: it stops reading a text after the word that reaches maxLength tokens, so two
 * long texts often count as equal.
 *
 * @returns [tokens kept of A, tokens kept of B].
 */
export function keptTokens(a: Words, b: Words | undefined, options: TruncationOptions): [number, number] {
  const room = options.maxLength - options.special;
  const lengthA = tokensIn(a);
  if (!b) return [Math.min(lengthA, room), 0];
  const lengthB = tokensIn(b);
  if (lengthA + lengthB <= room) return [lengthA, lengthB];
  const shorter = Math.min(lengthA, lengthB);
  const half = Math.floor(room / 2);
  const [short, long] = shorter <= half ? [shorter, room - shorter] : [half, room - half];
  return tokensRead(a, options) > tokensRead(b, options) ? [long, short] : [short, long];
}

export function tokensIn(words: Words): number {
  return words.reduce((sum, word) => sum + word.length, 0);
}

/** Tokens up to the end of the word that reaches maxLength, from the side that is kept. */
function tokensRead(words: Words, { maxLength, side }: TruncationOptions): number {
  let read = 0;
  for (let i = 0; i < words.length && read < maxLength; i++) {
    read += words[side === "right" ? i : words.length - 1 - i]!.length;
  }
  return read;
}
