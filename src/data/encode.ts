/** Tokenise a dataset, once or slice by slice, packed: what the native core holds. */
import { createHash } from "node:crypto";
import { turns } from "../event-loop.js";
import { encodeLabels } from "./labels.js";
import type { Encoding, Tokenizer } from "./tokenizer.js";
import type { Dataset, EncodedDataset, LabelMap } from "./types.js";

/**
 * A dataset as the core holds it. The event loop turns between its rows.
 *
 * @param labels    null leaves every label -1 (a set that is only predicted on).
 * @param maxLength tokens per row, special tokens included; at most the model's positions.
 * @throws DataError ERR_LABEL_UNKNOWN, ConfigError ERR_MAX_LENGTH; the signal's reason.
 */
export async function encodeDataset(
  tokenizer: Tokenizer,
  dataset: Dataset,
  labels: LabelMap | null,
  maxLength: number,
  signal?: AbortSignal,
): Promise<EncodedDataset> {
  const { examples } = dataset;
  const classes = labels ? encodeLabels(dataset, labels) : new Int32Array(examples.length).fill(-1);
  const turn = turns(signal);
  const rows = new PackedRows();
  for (const { text, textB } of examples) {
    rows.add(tokenizer.encode(text, textB, maxLength));
    await turn();
  }
  const packed = { ...rows.finish(), labels: classes };
  return { ...packed, hash: hashOf(packed) };
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
  { examples }: Dataset,
  maxLength: number,
  from: number,
  most: number,
): EncodedSlice {
  const rows = new PackedRows();
  for (let row = from; row < examples.length; row++) {
    const { text, textB } = examples[row]!;
    const encoding = tokenizer.encode(text, textB, maxLength);
    if (row > from && rows.tokens + encoding.ids.length > most) break; // begins the next slice
    rows.add(encoding);
  }
  const packed = rows.finish();
  return { ...packed, labels: new Int32Array(packed.offsets.length - 1).fill(-1) };
}

/** Slices as if they were one, their rows in order. */
export function joinSlices(slices: readonly EncodedSlice[]): EncodedSlice {
  if (slices.length === 1) return slices[0]!;
  const joined = (of: (slice: EncodedSlice) => Int32Array) =>
    Int32Array.from(slices.flatMap((slice) => [...of(slice)]));
  let before = 0;
  const offsets = slices.flatMap((slice) => {
    const begins = Array.from(slice.offsets.subarray(0, -1), (offset) => before + offset);
    before += slice.offsets.at(-1)!;
    return begins;
  });
  return {
    ids: joined(({ ids }) => ids),
    types: joined(({ types }) => types),
    labels: joined(({ labels }) => labels),
    offsets: Int32Array.of(...offsets, before),
    truncated: slices.reduce((sum, { truncated }) => sum + truncated, 0),
  };
}

class PackedRows {
  readonly #ids: number[] = [];
  readonly #types: number[] = [];
  readonly #offsets = [0];
  #truncated = 0;

  get tokens(): number {
    return this.#ids.length;
  }

  add({ ids, types, truncated }: Encoding): void {
    for (const id of ids) this.#ids.push(id);
    for (const type of types) this.#types.push(type);
    if (truncated) this.#truncated++;
    this.#offsets.push(this.#ids.length);
  }

  finish(): Omit<EncodedSlice, "labels"> {
    return {
      ids: Int32Array.from(this.#ids),
      types: Int32Array.from(this.#types),
      offsets: Int32Array.from(this.#offsets),
      truncated: this.#truncated,
    };
  }
}

function hashOf(packed: Pick<EncodedDataset, "ids" | "types" | "offsets" | "labels">): string {
  const hash = createHash("sha256");
  for (const array of [packed.ids, packed.types, packed.offsets, packed.labels]) {
    hash.update(`${array.length}:`).update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest("hex");
}
