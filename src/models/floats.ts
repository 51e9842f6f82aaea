/** fp16 and bf16 to fp32 and back. Reading is exact; writing rounds to nearest, ties to even, as PyTorch does. */

/** fp32 value of every fp16 bit pattern: 256 KB, and one lookup a weight. */
let halfTable: Float32Array | undefined;

/** @param bits fp16 bit patterns, shape (n). */
export function halfToFloat(bits: Uint16Array): Float32Array {
  halfTable ??= Float32Array.from({ length: 65536 }, (_, pattern) => decodeHalf(pattern));
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = halfTable[bits[i]!]!;
  return out;
}

/** @param bits bf16 bit patterns, shape (n): the upper halves of fp32. */
export function bfloatToFloat(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16;
  return new Float32Array(out.buffer);
}

/** fp16 bit patterns; a finite value past 65504 becomes infinite, callers look for it. */
export function floatToHalf(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = encodeHalf(words[i]!);
  return out;
}

/** bf16 bit patterns. */
export function floatToBfloat(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const word = words[i]!;
    const noNumber = (word & 0x7fffffff) > 0x7f800000;
    out[i] = noNumber ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

function decodeHalf(pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >> 10) & 31;
  const fraction = pattern & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function encodeHalf(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above
  if (magnitude >= 0x38800000) {
    // Normal: move the exponent's bias from 127 to 15 and round the 13 bits that go; a carry may reach infinity.
    const kept = (magnitude - 0x38000000) >>> 13;
    const rest = magnitude & 0x1fff;
    return sign | (kept + (rest > 0x1000 || (rest === 0x1000 && kept & 1) ? 1 : 0));
  }
  if (magnitude < 0x33000000) return sign; // below half of the smallest subnormal
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const kept = fraction >>> shift;
  const rest = fraction & (2 ** shift - 1);
  const half = 2 ** (shift - 1);
  return sign | (kept + (rest > half || (rest === half && kept & 1) ? 1 : 0));
}
