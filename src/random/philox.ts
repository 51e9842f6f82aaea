/**
 * Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a counter-based generator, so any element of a tensor can be drawn alone. The same
 * integers on every platform; also the generator of the native core.
 */

const MULTIPLY = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;

export type Words4 = readonly [number, number, number, number];

/**
 * @param counter four words; each gives an unrelated block.
 * @param key     two words: the seed.
 * @returns       four uniform words, unsigned.
 */
export function philox(counter: Words4, key: readonly [number, number]): Words4 {
  let [a, b, c, d] = counter;
  let [k, l] = key;
  for (let round = 0; round < 10; round++) {
    const [highA, lowA] = multiply(a, MULTIPLY[0]);
    const [highC, lowC] = multiply(c, MULTIPLY[1]);
    [a, b, c, d] = [highC ^ b ^ k, lowC, highA ^ d ^ l, lowA];
    [k, l] = [(k + WEYL[0]) | 0, (l + WEYL[1]) | 0];
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

/** High and low word of a 32 × 32 bit product. */
function multiply(x: number, y: number): [number, number] {
  const [xl, xh, yl, yh] = [x & 0xffff, x >>> 16, y & 0xffff, y >>> 16];
  const middle = xh * yl + Math.floor((xl * yl) / 65536);
  const cross = xl * yh + (middle % 65536);
  return [(xh * yh + Math.floor(middle / 65536) + Math.floor(cross / 65536)) | 0, Math.imul(x, y)];
}
