/** tokenizer.json taken apart: the function from one text to ids without special tokens, and where those go. */
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { type Issue, ModelError } from "../errors.js";
import { type AddedToken, AddedTokens } from "./added-tokens.js";
import { type BertNormalizer, normalizeBert, splitBert } from "./bert-text.js";
import { readTemplate, type Template } from "./template.js";
import type { Words } from "./truncation.js";
import { WordPiece } from "./wordpiece.js";

/** Ids of one text, word by word, no special tokens added. */
export type Encode = (text: string) => Words;

export interface TokenizerParts {
  readonly encode: Encode;
  readonly template: Template;
  /** Highest id + 1, added tokens included. */
  readonly vocabSize: number;
  /** The token with the highest id. */
  readonly lastToken: string;
  readonly kind: string;
}

const id = z.int().nonnegative();

const schema = z.looseObject({
  added_tokens: z
    .array(
      z.object({
        id,
        content: z.string(),
        single_word: z.boolean().default(false),
        lstrip: z.boolean().default(false),
        rstrip: z.boolean().default(false),
        normalized: z.boolean().default(false),
        special: z.boolean().default(false),
      }),
    )
    .nullish(),
  normalizer: z.looseObject({ type: z.string() }).nullish(),
  pre_tokenizer: z.looseObject({ type: z.string() }).nullish(),
  post_processor: z.looseObject({ type: z.string() }).nullish(),
  model: z.looseObject({ type: z.string().optional() }),
});

const bertNormalizer = z.object({
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().nullable().default(null),
  lowercase: z.boolean().default(true),
});

const wordPiece = z.object({
  unk_token: z.string().default("[UNK]"),
  continuing_subword_prefix: z.string().default("##"),
  max_input_chars_per_word: z.int().positive().default(100),
  vocab: z.record(z.string(), id),
});

/**
 * @param json   tokenizer.json as parsed.
 * @param config tokenizer_config.json as parsed; only other kinds than WordPiece look at it.
 * @param file   named in errors.
 * @throws ModelError ERR_TOKENIZER with every problem at once.
 */
export function readTokenizerJson(json: unknown, config: unknown, file: string): TokenizerParts {
  const parsed = checkTokenizerJson(json, file);
  const added: readonly AddedToken[] = parsed.added_tokens ?? [];
  const template = readTemplate(parsed.post_processor, file);
  const kind = kindOf(parsed);
  if (!isBertWordPiece(parsed)) return { ...throughLibrary(json, config, file), template, kind };

  const model = check(wordPiece, parsed.model, file, "model.");
  const ids = new Map(Object.entries(model.vocab));
  for (const token of added) ids.set(token.content, token.id);
  const unknown = ids.get(model.unk_token);
  if (unknown === undefined) {
    throw malformed(file, [
      { path: "model.unk_token", expected: "a token of the vocabulary", received: `"${model.unk_token}"` },
    ]);
  }
  const vocabulary = new Map(Object.entries(model.vocab));
  const normalizer = check(bertNormalizer, parsed.normalizer, file, "normalizer.");
  const pieces = new WordPiece(
    vocabulary,
    model.continuing_subword_prefix,
    unknown,
    model.max_input_chars_per_word,
  );
  return { encode: bertEncoder(added, normalizer, pieces), template, kind, ...highest(ids) };
}

/** @throws ModelError ERR_TOKENIZER as `readTokenizerJson`. What is not looked at stays as it is. */
export const checkTokenizerJson = (json: unknown, file: string) => check(schema, json, file);

/** What is read here of a tokenizer.json. */
export interface TokenizerJson {
  readonly added_tokens?: readonly { readonly content: string }[] | null | undefined;
  readonly normalizer?: { readonly type: string; readonly [key: string]: unknown } | null | undefined;
  readonly pre_tokenizer?: { readonly type: string } | null | undefined;
  readonly model: { readonly type?: string | undefined; readonly [key: string]: unknown };
}

/** Files from before tokenizers 0.9 name no type: it is told by its fields, as there. */
function kindOf({ model }: TokenizerJson): string {
  if (model.type !== undefined) return model.type;
  const isWordPiece = "continuing_subword_prefix" in model && "max_input_chars_per_word" in model;
  return isWordPiece && !("merges" in model) ? "WordPiece" : "unknown";
}

export const isBertWordPiece = (json: TokenizerJson): boolean =>
  kindOf(json) === "WordPiece" &&
  json.normalizer?.type === "BertNormalizer" &&
  json.pre_tokenizer?.type === "BertPreTokenizer";

/** What BertTokenizer of transformers makes anew from tokenizer_config.json, by the names there; other classes do not. */
const OVERRIDES = {
  do_lower_case: "lowercase",
  strip_accents: "strip_accents",
  tokenize_chinese_chars: "handle_chinese_chars",
} as const;

/**
 * tokenizer.json as `AutoTokenizer` uses it (5.18): a BERT tokenizer's normaliser is made anew from
 * tokenizer_config.json, with the class's defaults for what is not said there.
 *
 * @returns and what became of the normaliser so, where that is something else.
 * @throws ModelError ERR_TOKENIZER where the normaliser is malformed.
 */
export function asTransformersReads<T extends TokenizerJson>(
  json: T,
  config: Readonly<Record<string, unknown>>,
  file: string,
): { readonly json: T; readonly changed: readonly string[] } {
  const { tokenizer_class: kind = "BertTokenizer" } = config;
  const { normalizer } = json;
  if (!normalizer || !isBertWordPiece(json) || !/^(Distil)?BertTokenizer(Fast)?$/.test(String(kind)))
    return { json, changed: [] };
  const own = check(bertNormalizer, normalizer, file, "normalizer.");
  const defaults = bertNormalizer.parse({});
  const used = Object.entries(OVERRIDES).map(([name, key]) => {
    const said = name in config ? config[name] : defaults[key];
    return { name, key, said, differs: said !== own[key] };
  });
  const remade = Object.fromEntries(used.map(({ key, said }) => [key, said]));
  return {
    json: { ...json, normalizer: { ...normalizer, ...remade } },
    changed: used.flatMap(({ name, said, differs }) => (differs ? [`${name} ${said}`] : [])),
  };
}

function bertEncoder(added: readonly AddedToken[], normalizer: BertNormalizer, pieces: WordPiece): Encode {
  const raw = new AddedTokens(added.filter((token) => !token.normalized));
  const normalized = new AddedTokens(
    added.filter((token) => token.normalized),
    (content) => normalizeBert(content, normalizer),
  );
  return (text) => {
    const out: (readonly number[])[] = [];
    for (const segment of raw.split(text)) {
      const inner =
        typeof segment === "number" ? [segment] : normalized.split(normalizeBert(segment, normalizer));
      for (const part of inner) {
        if (typeof part === "number") out.push([part]);
        else for (const word of splitBert(part)) out.push(pieces.encode(word));
      }
    }
    return out;
  };
}

function throughLibrary(json: unknown, config: unknown, file: string) {
  try {
    const tokenizer = new LibraryTokenizer(json as object, config as object);
    const encode: Encode = (text) =>
      tokenizer.encode(text, { add_special_tokens: false }).ids.map((id) => [id]);
    return { encode, ...highest(tokenizer.get_vocab(true)) };
  } catch (cause) {
    throw malformed(
      file,
      [
        {
          path: "model",
          expected: "a tokenizer that @huggingface/tokenizers reads",
          received: (cause as Error).message,
        },
      ],
      cause,
    );
  }
}

function highest(ids: ReadonlyMap<string, number>): { vocabSize: number; lastToken: string } {
  let vocabSize = 0;
  let lastToken = "";
  for (const [token, value] of ids) if (value >= vocabSize) [vocabSize, lastToken] = [value + 1, token];
  return { vocabSize, lastToken };
}

function check<T extends z.ZodType>(type: T, value: unknown, file: string, prefix = ""): z.infer<T> {
  const result = type.safeParse(value);
  if (result.success) return result.data;
  throw malformed(
    file,
    result.error.issues.slice(0, 10).map((issue) => ({
      path: prefix + issue.path.join("."),
      ...expectation(issue),
    })),
  );
}

/** zod says "Invalid input: expected string, received number". */
function expectation(issue: z.core.$ZodIssue): { expected: string; received: string } {
  const parts = /expected (.*), received (.*)$/.exec(issue.message);
  return { expected: parts?.[1] ?? issue.message, received: parts?.[2] ?? "something else" };
}

function malformed(file: string, issues: readonly Issue[], cause?: unknown): ModelError {
  return new ModelError("ERR_TOKENIZER", `${file}: malformed`, issues, { cause });
}
