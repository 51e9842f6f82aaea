import { expect, test } from "vitest";
import { bfloatToFloat, floatToBfloat, floatToHalf, halfToFloat } from "../../../src/models/floats.js";

const ALL = Uint16Array.from({ length: 65536 }, (_, i) => i);
const float = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer);

test("every fp16 and bf16 value survives the way to fp32 and back", () => {
  for (const [decode, encode, infinity] of [
    [halfToFloat, floatToHalf, 0x7c00],
    [bfloatToFloat, floatToBfloat, 0x7f80],
  ] as const) {
    const back = encode(decode(ALL));
    const wrong = [...ALL.keys()].filter((bits) => {
      const isNumber = (bits & 0x7fff) <= infinity;
      return isNumber ? back[bits] !== bits : !Number.isNaN(decode(back.slice(bits, bits + 1))[0]!);
    });
    expect(wrong).toEqual([]);
  }
});

test("known values", () => {
  expect([...halfToFloat(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 1, 0x7c00))]).toEqual([
    1,
    -2,
    65504,
    2 ** -24,
    Infinity,
  ]);
  expect(Object.is(halfToFloat(Uint16Array.of(0x8000))[0], -0)).toBe(true);
  expect([...bfloatToFloat(Uint16Array.of(0x3f80, 0xc000))]).toEqual([1, -2]);
});

test("rounding is to nearest, ties to even", () => {
  // Half-way between neighbours goes to the even one; a little more goes up.
  const half = (value: number) => floatToHalf(Float32Array.of(value))[0]!;
  expect(half(1 + 2 ** -11)).toBe(0x3c00);
  expect(half(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(half(1 + 2 ** -11 + 2 ** -20)).toBe(0x3c01);
  expect(half(65519)).toBe(0x7bff);
  expect(half(65520)).toBe(0x7c00);
  expect(half(2 ** -25)).toBe(0);
  expect(half(2 ** -25 * 1.001)).toBe(1);
  expect(half(3 * 2 ** -25)).toBe(2);
  expect(half(2 ** -14 - 2 ** -26)).toBe(0x400);
  expect(floatToBfloat(float(0x3f808000))[0]).toBe(0x3f80);
  expect(floatToBfloat(float(0x3f818000))[0]).toBe(0x3f82);
  expect(floatToBfloat(float(0x3f808001))[0]).toBe(0x3f81);
  expect(floatToBfloat(float(0x7f7fffff))[0]).toBe(0x7f80);
});
