/** Writer of safetensors files: the same tensors give the same bytes. */
import type { FileHandle } from "node:fs/promises";
import { ModelError } from "../errors.js";
import { writeAtomic } from "./atomic.js";
import { floatToBfloat, floatToHalf } from "./floats.js";
import type { Tensor } from "./types.js";

/** Element type of the file; fp32 unless asked otherwise. */
export type SaveDtype = "F32" | "F16" | "BF16";

/**
 * Writes `tensors`, sorted by name, with metadata {"format": "pt"} (Hugging Face refuses files without it).
 *
 * @throws ModelError ERR_OVERFLOW when a finite weight does not fit fp16; ERR_TENSORS for a name twice or a shape that is not
 *   the data's; PermafrostError ERR_WRITE. Nothing is left half written.
 */
export async function writeSafetensors(
  file: string,
  tensors: Iterable<Tensor>,
  options: { readonly dtype?: SaveDtype; readonly metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const dtype = options.dtype ?? "F32";
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const header = headerOf(sorted, dtype, { format: "pt", ...options.metadata }, file);
  await writeAtomic(file, async (handle) => {
    await writeAll(handle, header);
    for (const tensor of sorted) await writeAll(handle, encode(tensor, dtype, file));
  });
}

/** Length and JSON, padded with spaces so that the data starts 8-byte aligned. */
function headerOf(
  tensors: readonly Tensor[],
  dtype: SaveDtype,
  metadata: Readonly<Record<string, string>>,
  file: string,
): Buffer {
  const elementBytes = dtype === "F32" ? 4 : 2;
  const entries: [string, unknown][] = [["__metadata__", metadata]];
  let at = 0;
  for (const [i, { name, shape, data }] of tensors.entries()) {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements !== data.length || name === "__metadata__" || name === tensors[i - 1]?.name) {
      const expected = "distinct names, and shapes that match the data";
      const received = `"${name}" [${shape.join(", ")}] with ${data.length} elements`;
      throw new ModelError("ERR_TENSORS", `${file}: not written`, [{ path: name, expected, received }]);
    }
    const end = at + elements * elementBytes;
    entries.push([name, { dtype, shape, data_offsets: [at, end] }]);
    at = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const padded = Math.ceil(json.length / 8) * 8;
  const header = Buffer.alloc(8 + padded, " ");
  header.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(header, 8);
  return header;
}

function encode({ name, data }: Tensor, dtype: SaveDtype, file: string): Uint8Array {
  if (dtype === "F32") return bytesOf(data);
  const out = dtype === "F16" ? floatToHalf(data) : floatToBfloat(data);
  const infinity = dtype === "F16" ? 0x7c00 : 0x7f80;
  const overflow = out.findIndex((bits, i) => (bits & 0x7fff) === infinity && Number.isFinite(data[i]));
  if (overflow >= 0) {
    throw new ModelError("ERR_OVERFLOW", `${file}: not written`, [
      {
        path: `${name}[${overflow}]`,
        expected: `a value that ${dtype} can hold`,
        received: String(data[overflow]),
        hint: "save as float32",
      },
    ]);
  }
  return bytesOf(out);
}

const bytesOf = (data: Float32Array | Uint16Array) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, Math.min(bytes.length - done, 2 ** 30))).bytesWritten;
  }
}
