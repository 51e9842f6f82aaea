/** SHA-256 of what is large: a piece at a time, the event loop turning between. */
import { createHash, type Hash } from "node:crypto";
import { turns } from "../event-loop.js";
import type { Tensor } from "./types.js";

/** Some 4 ms where the processor knows SHA, 20 where it does not. (OpenSSL takes less than 2 GiB at once.) */
const PIECE = 2 ** 23;

/** Hex. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  await update(hash, bytes, turns());
  return hash.digest("hex");
}

/**
 * Hex, over names, shapes and fp32 values, in name order: not that of a file, so storing the weights as fp16 or in shards
 * changes nothing.
 */
export async function hashTensors(tensors: Iterable<Tensor>, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const turn = turns(signal);
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, shape, data } of sorted) {
    hash.update(`${JSON.stringify([name, shape])}\n`);
    await update(hash, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), turn);
  }
  return hash.digest("hex");
}

async function update(hash: Hash, bytes: Uint8Array, turn: ReturnType<typeof turns>): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE) {
    hash.update(bytes.subarray(at, at + PIECE));
    await turn();
  }
}
