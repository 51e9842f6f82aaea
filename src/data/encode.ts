/** Tokenise a dataset, once or slice by slice, packed: what the native core holds. */
import { createHash } from "node:crypto";
import { encodeLabels } from "./labels.js";
import type { Tokenizer } from "./tokenizer.js";
import type { Dataset, EncodedDataset, LabelMap } from "./types.js";

/**
 * @param labels    null leaves every label -1 (a set that is only predicted on).
 * @param maxLength tokens per row, special tokens included; at most the model's positions.
 * @throws DataError ERR_LABEL_UNKNOWN, ConfigError ERR_MAX_LENGTH.
 */
export function encodeDataset(
  tokenizer: Tokenizer,
  dataset: Dataset,
  labels: LabelMap | null,
  maxLength: number,
): EncodedDataset {
  const rows = dataset.examples.length;
  const classes = labels ? encodeLabels(dataset, labels) : new Int32Array(rows).fill(-1);
  const { truncated, ...tokens } = pack(tokenizer, dataset, maxLength);
  const packed = { ...tokens, labels: classes };
  return { ...packed, hash: hashOf(packed), truncated };
}

/** Some rows of a dataset, packed, without labels: what a prediction hands to the core at once. */
export type EncodedSlice = Omit<EncodedDataset, "hash">;

/**
 * The rows from `from` on that have `most` tokens or fewer together; one row at least.
 *
 * @throws ConfigError ERR_MAX_LENGTH.
 */
export function encodeSlice(
  tokenizer: Tokenizer,
  dataset: Dataset,
  maxLength: number,
  from: number,
  most: number,
): EncodedSlice {
  const packed = pack(tokenizer, dataset, maxLength, from, most);
  return { ...packed, labels: new Int32Array(packed.offsets.length - 1).fill(-1) };
}

function pack(
  tokenizer: Tokenizer,
  { examples }: Dataset,
  maxLength: number,
  from = 0,
  most = Number.POSITIVE_INFINITY,
): Omit<EncodedSlice, "labels"> {
  const ids: number[] = [];
  const types: number[] = [];
  const offsets = [0];
  let truncated = 0;
  for (let row = from; row < examples.length; row++) {
    const { text, textB } = examples[row]!;
    const encoding = tokenizer.encode(text, textB, maxLength);
    if (row > from && ids.length + encoding.ids.length > most) break; // begins the next slice
    for (const id of encoding.ids) ids.push(id);
    for (const type of encoding.types) types.push(type);
    if (encoding.truncated) truncated++;
    offsets.push(ids.length);
  }
  return {
    ids: Int32Array.from(ids),
    types: Int32Array.from(types),
    offsets: Int32Array.from(offsets),
    truncated,
  };
}

function hashOf(packed: Pick<EncodedDataset, "ids" | "types" | "offsets" | "labels">): string {
  const hash = createHash("sha256");
  for (const array of [packed.ids, packed.types, packed.offsets, packed.labels]) {
    hash.update(`${array.length}:`).update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest("hex");
}
