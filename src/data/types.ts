/** One row of a dataset file. `label` is absent in files that are only predicted on. */
export interface Example {
  readonly text: string;
  readonly textB?: string;
  /** As in the file, before any mapping. JSON integers keep their type so that int labels sort as numbers. */
  readonly label?: string | number;
}

/** A file read whole: its rows and what is needed to talk about them. */
export interface Dataset {
  /** Path as the user gave it; error messages name it. */
  readonly path: string;
  readonly examples: readonly Example[];
  /** Line of the file on which each row begins, counted from 1; shape (rows). Errors name it. */
  readonly lines: Int32Array;
  /** sha256 of the file's bytes, hex. */
  readonly hash: string;
  /** What the user should know: columns that are not used, rows that are empty or span several lines. */
  readonly notices: readonly string[];
}

/** Class names in index order: `names[i]` is the label of logit i. Same role as Hugging Face `id2label`. */
export interface LabelMap {
  readonly names: readonly string[];
  readonly index: ReadonlyMap<string, number>;
}

/**
 * A tokenised dataset, packed: no padding anywhere. Sequence i is tokens [offsets[i], offsets[i+1]).
 */
export interface EncodedDataset {
  /** Token ids, shape (tokens). */
  readonly ids: Int32Array;
  /** Token type ids (segments), shape (tokens). */
  readonly types: Int32Array;
  /** Shape (rows + 1); offsets[0] = 0. */
  readonly offsets: Int32Array;
  /** Class per row, shape (rows); -1 where the row has no label. */
  readonly labels: Int32Array;
  /** sha256 over ids, types, offsets and labels, hex: the identity of what the core sees. */
  readonly hash: string;
  /** Rows cut at max_length. */
  readonly truncated: number;
}
