/**
 * Random numbers for samplers, from Philox. Counter-based: the numbers of trial n are a function of (seed, purpose, n) alone, whatever was drawn before, in
 * this process or an earlier one: a resumed study draws what the uninterrupted one would have (see turns.ts for its history).
 */
import { philox } from "../random/philox.js";

export class Rng {
  readonly #key: readonly [number, number];
  readonly #purpose: number;
  readonly #index: number;
  #block = 0;
  #words: number[] = [];

  /**
   * @param seed    any safe integer; both halves count.
   * @param index   which trial, ≥ 0.
   * @param purpose streams with different names are independent: "propose", "random".
   */
  constructor(seed: number, index = 0, purpose = "") {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`seed: expected an integer, received ${seed}`);
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
    this.#index = index >>> 0;
    this.#purpose = hash(purpose);
  }

  /** Uniform over 0 … 2^32 − 1. */
  uint32(): number {
    let word = this.#words.pop();
    if (word === undefined) {
      this.#words = [...philox([this.#block++, this.#index, this.#purpose, 0], this.#key)].reverse();
      word = this.#words.pop() as number;
    }
    return word;
  }

  /** Uniform over [0, 1) with 53 bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** Uniform over 0 … n − 1. @param n 1 … 2^32; rejection keeps it unbiased. */
  int(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const word = this.uint32();
      if (word < limit) return word % n;
    }
  }

  /** Standard normal (Box–Muller; two uniforms a call, so that calls stay independent of how many came before). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** An index, with probability proportional to its weight. @param weights ≥ 0, at least one > 0. */
  weighted(weights: ArrayLike<number>): number {
    let total = 0;
    for (let i = 0; i < weights.length; i += 1) total += weights[i]!;
    let rest = this.uniform() * total;
    for (let i = 0; i < weights.length; i += 1) {
      rest -= weights[i]!;
      if (rest < 0) return i;
    }
    return weights.length - 1;
  }
}

/** FNV-1a over UTF-16 units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
