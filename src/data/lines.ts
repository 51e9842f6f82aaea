/**
 * A file as checked lines: hashed, decoded and measured as it streams, so that a file that is not text, or is one endless
 * line, is refused with bounded memory.
 */
import { isUtf8 } from "node:buffer";
import type { Hash } from "node:crypto";
import { DataError } from "../errors.js";

/** A line or record longer than this is an error; 16 MiB is far above any text a model can read. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** With its line end. */
  readonly text: string;
}

/**
 * @param chunks bytes of the file, in order.
 * @param name   of the file, for errors.
 * @param hash   fed with every byte.
 * @throws DataError ERR_ENCODING for bytes that are not UTF-8 and for NUL, ERR_LINE_TOO_LONG; the line is named.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  hash: Hash,
): AsyncGenerator<Line> {
  let number = 1;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const take = (last: Buffer): Line => {
    const bytes = pending.length === 0 ? last : Buffer.concat([...pending, last]);
    pending = [];
    pendingBytes = 0;
    return { number, text: decode(bytes, name, number++) };
  };
  for await (const chunk of chunks) {
    hash.update(chunk);
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let end = bytes.indexOf(10, from); end >= 0; end = bytes.indexOf(10, from)) {
      checkLength(pendingBytes + end - from, name, number);
      yield take(bytes.subarray(from, end + 1));
      from = end + 1;
    }
    if (from < bytes.length) {
      pending.push(Buffer.from(bytes.subarray(from)));
      pendingBytes += bytes.length - from;
      checkLength(pendingBytes, name, number);
    }
  }
  if (pendingBytes > 0) yield take(Buffer.alloc(0));
}

function checkLength(bytes: number, name: string, number: number): void {
  if (bytes <= MAX_LINE_BYTES) return;
  throw new DataError("ERR_LINE_TOO_LONG", `${name}: not a table of texts`, [
    {
      path: `${name}:${number}`,
      expected: `a line of at most ${MAX_LINE_BYTES} bytes`,
      received: "a longer one",
    },
  ]);
}

// Fatal: a wrong byte must be reported, not become U+FFFD. The byte order mark is looked for on line 1 only.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer, name: string, number: number): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw badEncoding(name, number, `${firstBadByte(bytes)}`, "save the file as UTF-8");
  }
  if (number === 1 && text.startsWith("\uFEFF")) text = text.slice(1);
  if (text.includes("\0")) {
    throw badEncoding(name, number, "a NUL character", "UTF-16, or not a text file? save it as UTF-8");
  }
  return text;
}

function badEncoding(name: string, number: number, received: string, hint: string): DataError {
  return new DataError("ERR_ENCODING", `${name}: not UTF-8 text`, [
    { path: `${name}:${number}`, expected: "UTF-8 text", received, hint },
  ]);
}

/** "byte 0xe9 at column 14" (in bytes from 1): where decoding first fails. */
function firstBadByte(bytes: Buffer): string {
  let [good, bad] = [0, bytes.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    // A cut inside a good character is no fault: streaming decoding allows an unfinished end.
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  while (good > 0 && !isUtf8(bytes.subarray(0, good))) good--; // back to where the unfinished character starts
  return `byte 0x${bytes[good]!.toString(16).padStart(2, "0")} at byte ${good + 1} of the line`;
}
