// The corpus of malformed files of the format's known attacks, made here; and round trips.
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ModelError } from "../../../src/errors.js";
import { SafetensorsFile } from "../../../src/models/safetensors.js";
import { writeSafetensors } from "../../../src/models/safetensors-write.js";
import type { Tensor } from "../../../src/models/types.js";
import { readSafetensors } from "./tiny.js";

const folder = mkdtempSync(path.join(tmpdir(), "permafrost-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file of this header, as text, and so many data bytes; `length` lies about the header's. */
function file(header: string | Uint8Array, dataBytes = 0, length?: bigint): string {
  const place = path.join(folder, "case.safetensors");
  const bytes = Buffer.from(header as string);
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(length ?? BigInt(bytes.length));
  writeFileSync(place, Buffer.concat([head, bytes, Buffer.alloc(dataBytes)]));
  return place;
}

const tensor = (dtype: string, shape: string, offsets: string) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const one = (dtype: string, shape: string, offsets: string) => `{"a":${tensor(dtype, shape, offsets)}}`;

async function failure(place: string): Promise<ModelError> {
  const error = await readSafetensors(place).then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ModelError);
  expect((error as ModelError).message).toContain(place);
  return error as ModelError;
}

describe("refused", () => {
  const F32 = (shape: string, offsets: string) => one("F32", shape, offsets);
  const cases: readonly [what: string, code: string, says: RegExp, make: () => string][] = [
    ["header length 2^63", "ERR_HEADER_TOO_LARGE", /9223372036854775808/, () => file("{}", 0, 2n ** 63n)],
    ["header of 100 MB + 1", "ERR_HEADER_TOO_LARGE", /at most 100000000/, () => file("{}", 0, 100_000_001n)],
    ["header longer than the file", "ERR_HEADER_LENGTH", /at most 2,.*received 50/, () => file("{}", 0, 50n)],
    ["no header at all", "ERR_HEADER_START", /received nothing/, () => file("")],
    ["a header that starts with a blank", "ERR_HEADER_START", /starts with "\{"/, () => file(" {}")],
    ["a pickle", "ERR_HEADER_START", /starts/, () => file(Buffer.of(0x80, 2, 0x63))],
    ["not UTF-8", "ERR_HEADER_ENCODING", /UTF-8/, () => file(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))],
    ["not JSON", "ERR_HEADER_JSON", /header/, () => file("{nonsense}")],
    ["text after the object", "ERR_HEADER_JSON", /the end of the header, received "x"/, () => file("{} x")],
    ["a string never closed", "ERR_HEADER_JSON", /closed string/, () => file('{"a')],
    ["a bad escape", "ERR_HEADER_JSON", /JSON string/, () => file('{"\\x":1}')],
    ["an array", "ERR_HEADER_START", /starts/, () => file("[]")],
    ["nesting", "ERR_HEADER_JSON", /a/, () => file(`{"a":${"[".repeat(1e6)}`)],
    ["nested objects", "ERR_HEADER_JSON", /"a"/, () => file('{"a":'.repeat(1e5))],
    [
      "one key twice",
      "ERR_HEADER_JSON",
      /a +expected each tensor once/,
      () => file(`{"a":${tensor("F32", "[1]", "[0,4]")},"a":${tensor("F32", "[1]", "[4,8]")}}`, 8),
    ],
    [
      "one key twice, spelt otherwise",
      "ERR_HEADER_JSON",
      /each tensor once/,
      () => file(`{"a":${tensor("F32", "[1]", "[0,4]")},"\\u0061":${tensor("F32", "[1]", "[4,8]")}}`, 8),
    ],
    [
      "no dtype",
      "ERR_HEADER_JSON",
      /a +expected a dtype/,
      () => file('{"a":{"shape":[],"data_offsets":[0,4]}}', 4),
    ],
    ["no shape", "ERR_HEADER_JSON", /a shape/, () => file('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4)],
    ["no offsets", "ERR_HEADER_JSON", /data_offsets/, () => file('{"a":{"dtype":"F32","shape":[1]}}', 4)],
    ["three offsets", "ERR_HEADER_JSON", /3 numbers/, () => file(F32("[1]", "[0,4,8]"), 4)],
    ["an unknown key", "ERR_HEADER_JSON", /"x"/, () => file('{"a":{"x":1}}')],
    [
      "overlap",
      "ERR_OFFSETS",
      /b +expected data from byte 8, where a ends, received 4 \(overlap\)/,
      () => file(`{"a":${tensor("F32", "[2]", "[0,8]")},"b":${tensor("F32", "[2]", "[4,12]")}}`, 12),
    ],
    [
      "a hole",
      "ERR_OFFSETS",
      /hole of 4 bytes/,
      () => file(`{"a":${tensor("F32", "[1]", "[0,4]")},"b":${tensor("F32", "[1]", "[8,12]")}}`, 12),
    ],
    ["data that starts late", "ERR_OFFSETS", /from byte 0, received 4/, () => file(F32("[1]", "[4,8]"), 8)],
    [
      "trailing bytes",
      "ERR_OFFSETS",
      /end at byte 5 .*received 4; bytes that belong/,
      () => file(F32("[1]", "[0,4]"), 5),
    ],
    ["trailing bytes and no tensor", "ERR_OFFSETS", /data/, () => file("{}", 3)],
    ["a truncated file", "ERR_OFFSETS", /truncated/, () => file(F32("[4]", "[0,16]"), 15)],
    ["begin > end", "ERR_OFFSETS", /begin ≤ end, received \[8, 4\]/, () => file(F32("[1]", "[8,4]"), 8)],
    ["a negative offset", "ERR_HEADER_JSON", /"-4"/, () => file(F32("[1]", "[-4,0]"), 4)],
    ["a float offset", "ERR_HEADER_JSON", /"4.0"/, () => file(F32("[1]", "[0,4.0]"), 4)],
    ["an exponent", "ERR_HEADER_JSON", /"4e0"/, () => file(F32("[1]", "[0,4e0]"), 4)],
    ["an offset past 2^53", "ERR_HEADER_JSON", /2\^53/, () => file(F32("[1]", "[0,9007199254740993]"), 4)],
    ["a negative size", "ERR_HEADER_JSON", /"-1"/, () => file(F32("[-1]", "[0,4]"), 4)],
    ["a text as size", "ERR_HEADER_JSON", /an integer/, () => file(F32('["1"]', "[0,4]"), 4)],
    [
      "a product that wraps to 4 elements",
      "ERR_OVERFLOW",
      /2\^53/,
      () => file(F32("[4194305,4194305,211106198978564]", "[0,16]"), 16),
    ],
    [
      "an overflow before a zero",
      "ERR_OVERFLOW",
      /2\^53/,
      () => file(F32("[9007199254740991,9007199254740991,0]", "[0,0]")),
    ],
    [
      "shape and offsets that differ",
      "ERR_OFFSETS",
      /a +expected 24 bytes for F32 \[2, 3\], received 20/,
      () => file(F32("[2,3]", "[0,20]"), 20),
    ],
    [
      "an unknown dtype",
      "ERR_DTYPE",
      /a +expected one of .*received "F33"/,
      () => file(one("F33", "[1]", "[0,4]"), 4),
    ],
    [
      "a dtype from the prototype",
      "ERR_DTYPE",
      /"constructor"/,
      () => file(one("constructor", "[1]", "[0,4]"), 4),
    ],
    [
      "a dtype we do not read",
      "ERR_DTYPE",
      /received F8_E4M3; this dtype is not supported/,
      () => file(one("F8_E4M3", "[4]", "[0,4]"), 4),
    ],
    [
      "an empty tensor inside another",
      "ERR_OFFSETS",
      /overlap/,
      () => file(`{"a":${tensor("F32", "[2]", "[0,8]")},"z":${tensor("F32", "[0]", "[4,4]")}}`, 8),
    ],
  ]; // prettier-ignore
  test.each(cases)("%s", async (_, code, says, make) => {
    const error = await failure(make());
    expect({ code: error.code, message: error.message }).toEqual({
      code,
      message: expect.stringMatching(says),
    });
  });

  test("files shorter than 8 bytes", async () => {
    for (let size = 0; size < 8; size++) {
      const place = path.join(folder, "short.safetensors");
      writeFileSync(place, Buffer.alloc(size));
      expect((await failure(place)).code).toBe("ERR_HEADER_TOO_SMALL");
    }
  });

  test("no file, and a folder", async () => {
    expect((await failure(path.join(folder, "none"))).message).toContain("no such file");
    expect((await failure(folder)).code).toBe("ERR_MODEL_FILE");
  });

  test("a file that shrinks while it is read", async () => {
    const place = path.join(folder, "shrinks.safetensors");
    await writeSafetensors(place, [{ name: "a", shape: [1000], data: new Float32Array(1000) }]);
    const open = await SafetensorsFile.open(place);
    truncateSync(place, 500);
    await expect(open.read(open.entries[0]!)).rejects.toMatchObject({ code: "ERR_TRUNCATED" });
    await open.close();
  });

  test("a million keys take bounded time", async () => {
    const entries = Array.from(
      { length: 1_000_000 },
      (_, i) => `"${i}":{"dtype":"U8","shape":[],"data_offsets":[${i},${i + 1}]}`,
    );
    const place = file(`{${entries.join(",")}}`, 1_000_001);
    const start = performance.now();
    expect((await failure(place)).code).toBe("ERR_OFFSETS"); // one byte too many: all of it was checked
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test("every truncation and every flipped byte of a small file: an error or finite work, never a crash", async () => {
    const place = path.join(folder, "fuzz.safetensors");
    await writeSafetensors(place, [
      { name: "a", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
      { name: "b", shape: [1], data: Float32Array.of(5) },
    ]);
    const good = readFileSync(place);
    const attempt = async (bytes: Uint8Array) => {
      writeFileSync(place, bytes);
      return readSafetensors(place).catch((error: unknown) => {
        expect(error).toBeInstanceOf(ModelError);
        return null;
      });
    };
    for (let size = 0; size < good.length; size++) expect(await attempt(good.subarray(0, size))).toBeNull();
    for (let i = 0; i < good.length; i++) {
      const bytes = Buffer.from(good);
      bytes[i]! ^= 1 << (i % 8);
      const tensors = await attempt(bytes);
      for (const { shape, data } of tensors?.values() ?? []) {
        expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
      }
    }
  });
});

describe("accepted", () => {
  test("padding, metadata, scalars, empty tensors, escapes", async () => {
    const header =
      `{ "__metadata__": {"format":"pt", "__proto__":"x"},\n\t"\\u00e9\\"":${tensor("F32", "[]", "[0,4]")},` +
      `"empty":${tensor("F32", "[3,0]", "[4,4]")}, "b":${tensor("BF16", "[1]", "[4,6]")}}   `;
    const open = await SafetensorsFile.open(file(header, 6));
    expect(open.entries.map(({ name }) => name)).toEqual(['é"', "empty", "b"]);
    expect(open.metadata.format).toBe("pt");
    expect((await open.read(open.entries[1]!)).data.length).toBe(0);
    await open.close();
  });

  test("unused tensors may have any dtype of the format", async () => {
    const open = await SafetensorsFile.open(file(one("I64", "[2]", "[0,16]"), 16));
    await expect(open.read(open.entries[0]!)).rejects.toMatchObject({ code: "ERR_DTYPE" });
    await open.close();
  });
});

describe("round trips", () => {
  const random = (n: number, seed: number): Float32Array => {
    const bits = new Uint32Array(n);
    let state = seed;
    for (let i = 0; i < n; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bits[i] = (state & 0x80ffffff) | ((100 + ((state >>> 25) % 40)) << 23); // exponents that fp16 rounds, too
    }
    return new Float32Array(bits.buffer);
  };
  const tensors: Tensor[] = [
    { name: "z", shape: [7, 11], data: random(77, 1) },
    { name: "a", shape: [3], data: Float32Array.of(-0, 65504, 2 ** -24) },
    { name: "scalar", shape: [], data: Float32Array.of(1.5) },
    { name: "empty", shape: [0, 4], data: new Float32Array(0) },
  ];

  test("fp32 comes back bit for bit, in 8-byte-aligned data, the same bytes twice", async () => {
    const place = path.join(folder, "f32.safetensors");
    await writeSafetensors(place, tensors);
    const back = await readSafetensors(place);
    for (const { name, shape, data } of tensors) {
      expect(back.get(name)?.shape).toEqual(shape);
      expect(new Uint32Array(back.get(name)!.data.buffer)).toEqual(new Uint32Array(data.buffer));
    }
    const bytes = readFileSync(place);
    expect(bytes.readBigUInt64LE() % 8n).toBe(0n);
    expect(bytes.toString("latin1", 8, 40)).toBe('{"__metadata__":{"format":"pt"},');
    await writeSafetensors(place, [...tensors].reverse());
    expect(readFileSync(place)).toEqual(bytes);
  });

  test.each(["F16", "BF16"] as const)(
    "%s: a second trip changes nothing, the first rounds to nearest",
    async (dtype) => {
      const place = path.join(folder, `${dtype}.safetensors`);
      await writeSafetensors(place, tensors, { dtype });
      const once = await readSafetensors(place);
      for (const { name, data } of tensors) {
        const step = dtype === "F16" ? 2 ** -11 : 2 ** -8;
        for (const [i, value] of data.entries()) {
          const smallest = dtype === "F16" ? 2 ** -25 : 0;
          expect(Math.abs(once.get(name)!.data[i]! - value)).toBeLessThanOrEqual(
            Math.abs(value) * step + smallest,
          );
        }
      }
      await writeSafetensors(place, once.values(), { dtype });
      expect([...(await readSafetensors(place)).values()]).toEqual([...once.values()]);
    },
  );

  test("what does not fit is refused, and nothing stays behind", async () => {
    const place = path.join(folder, "refused", "x.safetensors");
    const large: Tensor = { name: "w", shape: [2], data: Float32Array.of(1, 65520) };
    await expect(writeSafetensors(place, [large], { dtype: "F16" })).rejects.toThrow(
      /w\[1\].*F16 can hold, received 65520/,
    );
    const wrong: Tensor = { name: "w", shape: [3], data: new Float32Array(2) };
    await expect(writeSafetensors(place, [wrong])).rejects.toThrow(/shapes that match/);
    await expect(writeSafetensors(place, [large, large])).rejects.toThrow(/distinct names/);
    expect(readdirSync(path.join(folder, "refused"))).toEqual([]);
  });
});
