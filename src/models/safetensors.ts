/**
 * Reader of safetensors files that trusts nothing: every declared size is checked against the others and against the file
 * before a byte of data is read, and data is read into our own buffers (a file that shrinks meanwhile is an error, not a SIGBUS).
 *
 *   8 bytes: header length, little-endian · header: JSON · data: tensors without gaps
 */
import { type FileHandle, open } from "node:fs/promises";
import { type Issue, ModelError } from "../errors.js";
import { turns } from "../event-loop.js";
import { bfloatToFloat, halfToFloat } from "./floats.js";
import { type Header, type HeaderEntry, HeaderFault, parseHeader } from "./safetensors-header.js";
import type { Tensor } from "./types.js";

/** As the reference implementation; a BERT header is some 20 KB. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bits an element of each dtype of the format takes. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  ...{ F64: 64, I64: 64, U64: 64, C64: 64, F32: 32, I32: 32, U32: 32, F16: 16, BF16: 16, I16: 16, U16: 16 },
  ...{ I8: 8, U8: 8, BOOL: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
  ...{ F6_E2M3: 6, F6_E3M2: 6, F4: 4 },
};

/** What becomes fp32 weights. */
const WEIGHTS = ["F32", "F16", "BF16", "F64"];

/** An open file whose header is checked. Close it, or use `await using`. */
export class SafetensorsFile {
  readonly path: string;
  /** In the order of their data. */
  readonly entries: readonly HeaderEntry[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: FileHandle;
  readonly #dataStart: number;

  private constructor(path: string, file: FileHandle, header: Header, dataStart: number) {
    this.path = path;
    this.#file = file;
    this.entries = header.entries;
    this.metadata = header.metadata;
    this.#dataStart = dataStart;
  }

  /** @throws ModelError ERR_HEADER…, ERR_DTYPE, ERR_OVERFLOW, ERR_OFFSETS naming file and tensor, expected and found. */
  static async open(path: string): Promise<SafetensorsFile> {
    const file = await openFile(path);
    try {
      const { size } = await file.stat();
      const headerBytes = await readHeaderLength(file, path, size);
      const bytes = await readExactly(file, path, 8, headerBytes);
      const header = parse(bytes, path);
      const entries = checkLayout(header.entries, path, size - 8 - headerBytes);
      return new SafetensorsFile(path, file, { ...header, entries }, 8 + headerBytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Reads one tensor as fp32. @throws ModelError ERR_DTYPE when it is no floating-point tensor we read. */
  async read(entry: HeaderEntry): Promise<Tensor> {
    if (!WEIGHTS.includes(entry.dtype)) {
      throw fault("ERR_DTYPE", this.path, {
        path: entry.name,
        expected: `a dtype of ${WEIGHTS.join(", ")}`,
        received: entry.dtype,
        hint: "this dtype is not supported; save the model as float32, float16 or bfloat16",
      });
    }
    const bytes = await readExactly(
      this.#file,
      this.path,
      this.#dataStart + entry.begin,
      entry.end - entry.begin,
    );
    return { name: entry.name, shape: entry.shape, data: await toFloat(bytes, entry.dtype) };
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, "r");
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    const received = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : String(cause);
    throw fault("ERR_MODEL_FILE", path, { path, expected: "a readable file", received }, cause);
  }
  throw fault("ERR_MODEL_FILE", path, { path, expected: "a file", received: "something else" });
}

async function readHeaderLength(file: FileHandle, path: string, size: number): Promise<number> {
  if (size < 8) {
    const received = `a file of ${size} bytes`;
    throw fault("ERR_HEADER_TOO_SMALL", path, { path: "header length", expected: "8 bytes", received });
  }
  const length = (await readExactly(file, path, 0, 8)).readBigUInt64LE(0);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw fault("ERR_HEADER_TOO_LARGE", path, {
      path: "header length",
      expected: `at most ${MAX_HEADER_BYTES} bytes`,
      received: `${length}`,
    });
  }
  if (Number(length) > size - 8) {
    throw fault("ERR_HEADER_LENGTH", path, {
      path: "header length",
      expected: `at most ${size - 8}, what the file has after it`,
      received: `${length}`,
      hint: "the file is truncated, or not a safetensors file",
    });
  }
  return Number(length);
}

function parse(bytes: Buffer, path: string): Header {
  if (bytes[0] !== 0x7b) {
    const received = bytes.length === 0 ? "nothing" : JSON.stringify(bytes.toString("latin1", 0, 16));
    throw fault("ERR_HEADER_START", path, {
      path: "header",
      expected: 'a header that starts with "{"',
      received,
    });
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fault("ERR_HEADER_ENCODING", path, { path: "header", expected: "UTF-8", received: "other bytes" });
  }
  try {
    return parseHeader(text);
  } catch (error) {
    if (!(error instanceof HeaderFault)) throw error;
    const { tensor, expected, received } = error;
    throw fault("ERR_HEADER_JSON", path, { path: tensor ?? "header", expected, received });
  }
}

/** Entries in the order of their data: each starts where the one before ends, the last ends with the file. */
function checkLayout(entries: readonly HeaderEntry[], path: string, dataBytes: number): HeaderEntry[] {
  for (const entry of entries) checkSize(entry, path);
  const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  let before = "";
  for (const { name, begin, end } of sorted) {
    if (begin !== at) {
      const where = before === "" ? "0" : `${at}, where ${before} ends`;
      const what = begin < at ? `${begin} (overlap)` : `${begin} (a hole of ${begin - at} bytes)`;
      throw fault("ERR_OFFSETS", path, { path: name, expected: `data from byte ${where}`, received: what });
    }
    [at, before] = [end, name];
  }
  if (at !== dataBytes) {
    throw fault("ERR_OFFSETS", path, {
      path: before || "data",
      expected: `the data to end at byte ${dataBytes} with the file`,
      received: `${at}`,
      hint: at > dataBytes ? "the file is truncated" : "bytes that belong to no tensor follow",
    });
  }
  return sorted;
}

/** One entry in itself: known dtype, begin ≤ end, and shape × dtype = end − begin without overflow. */
function checkSize({ name, dtype, shape, begin, end }: HeaderEntry, path: string): void {
  const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
  if (bits === undefined) {
    const expected = `one of ${Object.keys(DTYPE_BITS).join(", ")}`;
    throw fault("ERR_DTYPE", path, { path: name, expected, received: JSON.stringify(dtype.slice(0, 40)) });
  }
  if (begin > end) {
    throw fault("ERR_OFFSETS", path, { path: name, expected: "begin ≤ end", received: `[${begin}, ${end}]` });
  }
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    // Products of doubles are exact up to 2⁵³, so passing it is seen; zero later on does not excuse it.
    if (elements > Number.MAX_SAFE_INTEGER) {
      const received = `shape [${shape.join(", ")}]`;
      throw fault("ERR_OVERFLOW", path, { path: name, expected: "at most 2^53 elements", received });
    }
  }
  const bytes = (elements * bits) / 8;
  if (bytes !== end - begin) {
    throw fault("ERR_OFFSETS", path, {
      path: name,
      expected: `${bytes} bytes for ${dtype} [${shape.join(", ")}]`,
      received: `${end - begin} (data_offsets [${begin}, ${end}])`,
    });
  }
}

async function readExactly(file: FileHandle, path: string, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.from(new ArrayBuffer(length)); // its own ArrayBuffer: typed views start aligned
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 2 ** 30), from + done);
    if (bytesRead === 0) {
      throw fault("ERR_TRUNCATED", path, {
        path: `bytes ${from} to ${from + length}`,
        expected: `${length} bytes`,
        received: `${done}`,
        hint: "the file shrank while it was read",
      });
    }
    done += bytesRead;
  }
  return bytes;
}

/** Weights between two looks at the clock; some 5 ms. */
const PIECE = 2 ** 20;

/** The file is little-endian, and so is every platform we build for: bytes are read as they are. */
async function toFloat(bytes: Buffer, dtype: string): Promise<Float32Array> {
  const buffer = bytes.buffer as ArrayBuffer;
  if (dtype === "F32") return new Float32Array(buffer);
  const stored = dtype === "F64" ? new Float64Array(buffer) : new Uint16Array(buffer);
  const floats = new Float32Array(stored.length);
  const turn = turns();
  for (let at = 0; at < stored.length; at += PIECE) {
    const piece = stored.subarray(at, at + PIECE);
    if (piece instanceof Float64Array) floats.set(piece, at);
    else floats.set(dtype === "F16" ? halfToFloat(piece) : bfloatToFloat(piece), at);
    await turn();
  }
  return floats;
}

function fault(code: string, file: string, issue: Issue, cause?: unknown): ModelError {
  return new ModelError(code, `${file}: not a usable safetensors file`, [issue], { cause });
}
