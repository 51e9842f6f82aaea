/** Tokenise a dataset once, packed: what the native core holds. */
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
  const offsets = new Int32Array(rows + 1);
  const ids: number[] = [];
  const types: number[] = [];
  let truncated = 0;
  for (const [row, { text, textB }] of dataset.examples.entries()) {
    const encoding = tokenizer.encode(text, textB, maxLength);
    for (const id of encoding.ids) ids.push(id);
    for (const type of encoding.types) types.push(type);
    if (encoding.truncated) truncated++;
    offsets[row + 1] = ids.length;
  }
  const packed = { ids: Int32Array.from(ids), types: Int32Array.from(types), offsets, labels: classes };
  return { ...packed, hash: hashOf(packed), truncated };
}

function hashOf(packed: Pick<EncodedDataset, "ids" | "types" | "offsets" | "labels">): string {
  const hash = createHash("sha256");
  for (const array of [packed.ids, packed.types, packed.offsets, packed.labels]) {
    hash.update(`${array.length}:`).update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest("hex");
}
