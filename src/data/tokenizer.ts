/**
 * A model folder's tokenizer.json as a function from text to ids, equal to Hugging Face's
 * `tokenizer(text, text_b, truncation=True, max_length=n)`.
 *
 * BERT's WordPiece is our own (bert-text.ts, wordpiece.ts): @huggingface/tokenizers 0.2.0 differs on ideographs past U+FFFF,
 * on a final sigma and on marks newer than Unicode 8. Every other kind goes through that library. Padding and truncation
 * written in the file are ignored: batches are packed, and the length is the caller's.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { ConfigError, ModelError } from "../errors.js";
import { readWords, type WordEnds, wordEndsOf } from "./pieces.js";
import type { Template } from "./template.js";
import { asTransformersReads, checkTokenizerJson, type Encode, readTokenizerJson } from "./tokenizer-json.js";
import { keptTokens, tokensIn, type Words } from "./truncation.js";

export interface Encoding {
  /** Token ids, special tokens included; at most maxLength. */
  readonly ids: readonly number[];
  /** Token type ids, as many. */
  readonly types: readonly number[];
  /** Tokens were cut off. */
  readonly truncated: boolean;
}

export interface TokenizerOptions {
  /** Rows of the word embeddings; an id outside them is an error. */
  readonly vocabSize?: number;
  /** Rows of the token type embeddings; likewise. */
  readonly typeVocabSize?: number;
}

export class Tokenizer {
  readonly #encodeText: Encode;
  readonly #template: Template;
  readonly #side: "left" | "right";
  readonly #wordEnds: WordEnds | null;
  readonly #typeVocabSize: number;

  /** Highest id + 1. */
  readonly vocabSize: number;
  /** "WordPiece", "BPE", "Unigram", … */
  readonly kind: string;
  readonly notices: readonly string[];

  constructor(parts: {
    readonly encode: Encode;
    readonly template: Template;
    readonly side: "left" | "right";
    /** Where a long text may be cut and its pieces encoded apart; null: nowhere. */
    readonly wordEnds: WordEnds | null;
    readonly vocabSize: number;
    readonly typeVocabSize: number;
    readonly kind: string;
    readonly notices: readonly string[];
  }) {
    this.#encodeText = parts.encode;
    this.#template = parts.template;
    this.#side = parts.side;
    this.#wordEnds = parts.wordEnds;
    this.#typeVocabSize = parts.typeVocabSize;
    this.vocabSize = parts.vocabSize;
    this.kind = parts.kind;
    this.notices = parts.notices;
  }

  /** Tokens that are added to a text, or to a pair of texts. */
  specialTokens(pair: boolean): number {
    const pieces = pair ? this.#template.pair : this.#template.single;
    return pieces.reduce((sum, piece) => sum + ("ids" in piece ? piece.ids.length : 0), 0);
  }

  /**
   * Reads no more of a text than the pieces that `maxLength` tokens are in (pieces.ts).
   *
   * @param maxLength most tokens, special ones included.
   * @throws ConfigError ERR_MAX_LENGTH when not even the special tokens fit.
   * @throws ModelError ERR_TOKEN_TYPES when the model has too few token types for a pair.
   */
  encode(text: string, textB: string | undefined, maxLength: number): Encoding {
    const special = this.specialTokens(textB !== undefined);
    if (!Number.isInteger(maxLength) || maxLength < special) {
      throw new ConfigError("ERR_MAX_LENGTH", "max_length is too small for the special tokens", [
        { path: "max_length", expected: `an integer ≥ ${special}`, received: String(maxLength) },
      ]);
    }
    const reading = { maxTokens: maxLength, side: this.#side, wordEnds: this.#wordEnds };
    const a = readWords(text, this.#encodeText, reading);
    const b = textB === undefined ? undefined : readWords(textB, this.#encodeText, reading);
    const [keptA, keptB] = keptTokens(a, b, { maxLength, special, side: this.#side });
    const cut = (words: Words, kept: number) => {
      const all = words.flat();
      return this.#side === "right" ? all.slice(0, kept) : all.slice(all.length - kept);
    };

    const ids: number[] = [];
    const types: number[] = [];
    for (const piece of b ? this.#template.pair : this.#template.single) {
      const tokens = "ids" in piece ? piece.ids : piece.text === "A" ? cut(a, keptA) : cut(b ?? [], keptB);
      for (const id of tokens) {
        ids.push(id);
        types.push(piece.type);
      }
      if (piece.type >= this.#typeVocabSize) throw tooManyTypes(piece.type, this.#typeVocabSize);
    }
    return { ids, types, truncated: keptA < tokensIn(a) || keptB < tokensIn(b ?? []) };
  }
}

/**
 * Reads `tokenizer.json` of a model folder, and of `tokenizer_config.json` `truncation_side` and what changes BERT's normaliser.
 *
 * @throws ModelError ERR_TOKENIZER when the file is missing or malformed, ERR_VOCABULARY when its ids do not fit the embeddings.
 */
export async function loadTokenizer(folder: string, options: TokenizerOptions = {}): Promise<Tokenizer> {
  const file = path.join(folder, "tokenizer.json");
  const found = await readJson(file);
  if (found === undefined) {
    throw new ModelError("ERR_TOKENIZER", `${folder}: no tokenizer`, [
      {
        path: "tokenizer.json",
        expected: "the file of a fast tokenizer",
        received: "no such file",
        hint: `in Python: AutoTokenizer.from_pretrained("${folder}").save_pretrained("${folder}")`,
      },
    ]);
  }
  const config = ((await readJson(path.join(folder, "tokenizer_config.json"))) ?? {}) as Record<
    string,
    unknown
  >;
  const side = config.truncation_side === "left" ? "left" : "right";
  const { json, changed } = asTransformersReads(checkTokenizerJson(found, file), config, file);
  const parts = readTokenizerJson(json, config, file);
  const notices: string[] = [];
  if (changed.length > 0)
    notices.push(
      `${file}: read with ${changed.join(", ")}, as transformers does from tokenizer_config.json, although its normalizer says otherwise`,
    );
  const rows = options.vocabSize;
  if (rows !== undefined && parts.vocabSize > rows) {
    throw new ModelError("ERR_VOCABULARY", `${file}: the vocabulary does not fit the model`, [
      {
        path: parts.lastToken,
        expected: `ids below ${rows}, the rows of embeddings.word_embeddings.weight`,
        received: String(parts.vocabSize - 1),
        hint: "tokenizer.json and model.safetensors belong to different models",
      },
    ]);
  }
  if (rows !== undefined && parts.vocabSize < rows) {
    notices.push(
      `tokenizer.json has ${parts.vocabSize} ids, the embeddings ${rows} rows: the rest is never used`,
    );
  }
  return new Tokenizer({
    ...parts,
    side,
    wordEnds: wordEndsOf(json),
    typeVocabSize: options.typeVocabSize ?? Number.POSITIVE_INFINITY,
    notices,
  });
}

async function readJson(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ModelError("ERR_TOKENIZER", `${file}: cannot be read`, [], { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ModelError(
      "ERR_TOKENIZER",
      `${file}: malformed`,
      [{ path: path.basename(file), expected: "JSON", received: (cause as Error).message }],
      { cause },
    );
  }
}

function tooManyTypes(type: number, rows: number): ModelError {
  return new ModelError(
    "ERR_TOKEN_TYPES",
    "the model cannot tell the texts of a pair apart as its tokenizer wants",
    [{ path: "type_vocab_size", expected: `at least ${type + 1}`, received: String(rows) }],
  );
}
