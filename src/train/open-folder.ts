/** A model folder and its tokenizer, read and checked against the options: what training and prediction begin with. */
import { loadTokenizer, type Tokenizer } from "../data/tokenizer.js";
import { ConfigError } from "../errors.js";
import { loadModelFolder } from "../models/folder.js";
import type { ModelFolder, Pooling } from "../models/types.js";

const DEFAULT_MAX_LENGTH = 128;

export interface FolderOptions {
  readonly model: string;
  readonly strict: boolean;
  readonly pooling?: Pooling | undefined;
  /** As of `loadModelFolder`. @default "required" */
  readonly classifier?: "required" | "optional";
  /** @default what the folder's model was trained with, else 128 */
  readonly maxLength?: number | undefined;
}

export interface OpenFolder {
  readonly folder: ModelFolder;
  readonly tokenizer: Tokenizer;
  /** Tokens that texts are cut at. */
  readonly maxLength: number;
  /** Of both. */
  readonly notices: readonly string[];
}

/** @throws ModelError; ConfigError ERR_MAX_LENGTH when texts could be longer than the model has positions. */
export async function openFolder(options: FolderOptions): Promise<OpenFolder> {
  const { model, strict, pooling, classifier = "required" } = options;
  const folder = await loadModelFolder(model, { strict, classifier, ...(pooling ? { pooling } : {}) });
  const maxLength = options.maxLength ?? folder.maxLength ?? DEFAULT_MAX_LENGTH;
  const { max_position_embeddings, vocab_size, type_vocab_size } = folder.config;
  if (maxLength > max_position_embeddings) {
    throw new ConfigError("ERR_MAX_LENGTH", "texts would be longer than the model reads", [
      {
        path: "max_length",
        expected: `at most ${max_position_embeddings} (max_position_embeddings)`,
        received: String(maxLength),
      },
    ]);
  }
  const tokenizer = await loadTokenizer(folder.path, {
    vocabSize: vocab_size,
    typeVocabSize: type_vocab_size,
  });
  return { folder, tokenizer, maxLength, notices: [...folder.notices, ...tokenizer.notices] };
}
