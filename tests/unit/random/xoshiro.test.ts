import { expect, test } from "vitest";
import { Xoshiro } from "../../../src/random/xoshiro.js";

/** What `below` is defined to give: the remainder of the first word under the largest multiple of n. */
function defined(words: Xoshiro, n: number): number {
  const limit = 2 ** 32 - (2 ** 32 % n);
  let x = words.uint32();
  while (x >= limit) x = words.uint32();
  return x % n;
}

test.each([1, 2, 3, 5, 480, 65_537, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 3 * 2 ** 30, 2 ** 32 - 1, 2 ** 32])(
  "below %d: the remainder, to the last draw, where near half of the words are refused too",
  (n) => {
    const [own, reference] = [new Xoshiro([1, 2, 3, 4]), new Xoshiro([1, 2, 3, 4])];
    const draws = Array.from({ length: 20_000 }, () => own.below(n));
    expect(draws).toEqual(draws.map(() => defined(reference, n)));
    expect(own.uint32()).toBe(reference.uint32()); // as many words were used
  },
);
