/**
 * The analysis' own seeded generator.
 *
 * A stream is named by (seed, label): adding a group or a test leaves the numbers of the others as they were.
 * Training uses the native core's Philox, not this.
 */
import { Xoshiro } from "../random/xoshiro.js";

export class Random {
  #words: Xoshiro;

  constructor(seed: number, label = "") {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`seed: expected an integer, received ${seed}`);
    this.#words = new Xoshiro(seedState(seed, label));
  }

  /** From the generator's own four words, not all zero: to check it against the published algorithm. */
  static fromState(words: readonly [number, number, number, number]): Random {
    const random = new Random(0);
    random.#words = new Xoshiro(words);
    return random;
  }

  /** Uniform over 0 … 2^32 − 1. */
  uint32(): number {
    return this.#words.uint32();
  }

  /** Uniform over [0, 1), 53 bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    return (high * 0x4000000 + (this.uint32() >>> 6)) / 0x20000000000000;
  }

  /** Uniform over 0 … n − 1, without modulo bias. 1 ≤ n ≤ 2^32. */
  below(n: number): number {
    return this.#words.below(n);
  }

  /** Standard normal (Box–Muller, the cosine half only: one call, two uniforms). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Fisher–Yates in place. */
  shuffle(values: Float64Array): void {
    for (let i = values.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      const kept = values[i]!;
      values[i] = values[j]!;
      values[j] = kept;
    }
  }
}

/** MurmurHash3's 32-bit finaliser: every input bit reaches every output bit. */
function mix(x: number): number {
  let h = x >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Four words from a counter through `mix`, keyed by both halves of the seed and the label (UTF-16 units, FNV-1a). */
function seedState(seed: number, label: string): Uint32Array {
  let hash = 0x811c9dc5;
  for (let i = 0; i < label.length; i += 1) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
  let key = mix((seed | 0) ^ mix(Math.floor(seed / 0x100000000) | 0) ^ mix(hash));
  const state = new Uint32Array(4);
  for (let i = 0; i < 4; i += 1) {
    key = (key + 0x9e3779b9) >>> 0;
    state[i] = mix(key);
  }
  // All zeros is the one state the generator never leaves.
  if (state.every((word) => word === 0)) state[0] = 1;
  return state;
}
