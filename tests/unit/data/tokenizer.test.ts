// Tiny tokenizers made here: templates, truncation, faults. Equality with Hugging Face is in tests/golden/tokens.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { encodeDataset } from "../../../src/data/encode.js";
import { labelMapOf } from "../../../src/data/labels.js";
import { loadTokenizer, type TokenizerOptions } from "../../../src/data/tokenizer.js";
import { ModelError } from "../../../src/errors.js";
import { datasetOf } from "./dataset-of.js";

const folder = mkdtempSync(path.join(tmpdir(), "permafrost-tokenizer-"));
afterAll(() => rmSync(folder, { recursive: true }));

const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "##a", "aba"];

const tiny = (change: Readonly<Record<string, unknown>> = {}) => ({
  version: "1.0",
  truncation: { max_length: 3, strategy: "LongestFirst", stride: 0 },
  padding: { strategy: { Fixed: 64 }, direction: "Right", pad_id: 0, pad_type_id: 0, pad_token: "[PAD]" },
  added_tokens: [{ id: 3, content: "[SEP]", special: true, normalized: false }],
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    vocab: Object.fromEntries(WORDS.map((word, i) => [word, i])),
  },
  ...change,
});

function load(json: unknown, options?: TokenizerOptions) {
  writeFileSync(path.join(folder, "tokenizer.json"), typeof json === "string" ? json : JSON.stringify(json));
  return loadTokenizer(folder, options);
}

test("longest pieces first, unknown words whole; the file's padding and truncation are ignored", async () => {
  const tokenizer = await load(tiny());
  expect(tokenizer.encode("ABAB abc a[SEP]b", undefined, 99)).toEqual({
    ids: [2, 8, 6, 1, 4, 3, 5, 3],
    types: new Array(8).fill(0),
    truncated: false,
  });
});

test("a word is as long as its characters are many, not their units", async () => {
  const { model } = tiny() as { model: object };
  const tokenizer = await load(
    tiny({
      model: {
        ...model,
        max_input_chars_per_word: 3,
        vocab: { "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "\u{1d400}": 4, "##\u{1d400}": 5 },
      },
    }),
  );
  const ids = (text: string) => tokenizer.encode(text, undefined, 99).ids;
  expect(ids("\u{1d400}".repeat(3))).toEqual([2, 4, 5, 5, 3]);
  expect(ids("\u{1d400}".repeat(4))).toEqual([2, 1, 3]);
  expect(ids("x".repeat(3_000_000))).toEqual([2, 1, 3]);
});

// The ids are those of AutoTokenizer of transformers 5.18 for the same files.
describe("as AutoTokenizer reads a BERT tokenizer", () => {
  const words = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "A",
    "é",
    "e",
    "οδοσ",
    "οδος",
    "中",
    "文",
    "中文",
  ];
  const model = {
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(words.map((word, i) => [word, i])),
  };
  const normalizer = { ...tiny().normalizer };
  const ids = async (json: object, config: object | null) => {
    if (config) writeFileSync(path.join(folder, "tokenizer_config.json"), JSON.stringify(config));
    const tokenizer = await load(json);
    rmSync(path.join(folder, "tokenizer_config.json"), { force: true });
    const { ids } = tokenizer.encode("A é ΟΔΟΣ 中文", undefined, 99);
    return { ids: ids.slice(1, -1).join(), kind: tokenizer.kind, notices: tokenizer.notices };
  };
  const lower = { ids: "5,8,9,11,12", kind: "WordPiece" };

  test("a file from before tokenizers 0.9 names no type of model", async () => {
    expect(await ids(tiny({ model }), null)).toEqual({ ...lower, notices: [] });
  });

  const typed = { type: "WordPiece", ...model };
  const files = [
    ["lower case", {}, { do_lower_case: false }, "6,7,1,11,12", "do_lower_case false"],
    ["no lower case, and nothing said", { lowercase: false }, null, "5,8,9,11,12", "do_lower_case true"],
    ["ideographs", {}, { tokenize_chinese_chars: false }, "5,8,9,13", "tokenize_chinese_chars false"],
    ["accents", {}, { strip_accents: false }, "5,7,9,11,12", "strip_accents false"],
    ["no accents", { strip_accents: false }, { strip_accents: null }, "5,8,9,11,12", "strip_accents null"],
  ] as const;
  test.each(files)("tokenizer_config.json wins: %s", async (_, change, config, expected, notice) => {
    const read = await ids(tiny({ model: typed, normalizer: { ...normalizer, ...change } }), config);
    expect(read).toEqual({ ids: expected, kind: "WordPiece", notices: [expect.stringContaining(notice)] });
  });

  test("of another class tokenizer.json does", async () => {
    const config = { tokenizer_class: "PreTrainedTokenizerFast", do_lower_case: false };
    expect(await ids(tiny({ model: typed }), config)).toEqual({ ...lower, notices: [] });
  });
});

test("pairs and their token types, for every kind of post-processor", async () => {
  const encode = async (post_processor: unknown) => {
    const { ids, types } = (await load(tiny({ post_processor }))).encode("a", "b", 99);
    return `${ids} ${types}`;
  };
  expect(await encode(tiny().post_processor)).toBe("2,4,3,5,3 0,0,0,1,1");
  expect(await encode({ type: "RobertaProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] })).toBe(
    "2,4,3,3,5,3 0,0,0,0,0,0",
  );
  expect(await encode({ type: "Sequence", processors: [{ type: "ByteLevel" }, tiny().post_processor] })).toBe(
    "2,4,3,5,3 0,0,0,1,1",
  );
  expect(await encode(null)).toBe("4,5 0,1");
});

test("truncation counts, and room for no text at all", async () => {
  const tokenizer = await load(tiny());
  expect(tokenizer.encode("a b a b", undefined, 4)).toEqual({
    ids: [2, 4, 5, 3],
    types: [0, 0, 0, 0],
    truncated: true,
  });
  expect(tokenizer.encode("a", undefined, 2)).toEqual({ ids: [2, 3], types: [0, 0], truncated: true });
  for (const length of [1, 0, -1, 2.5, Number.NaN]) {
    expect(() => tokenizer.encode("a", undefined, length)).toThrow(/max_length +expected an integer ≥ 2/);
  }
  const rows = [
    { text: "a b a b", label: "y" },
    { text: "a", label: "x" },
  ];
  const encoded = await encodeDataset(
    tokenizer,
    datasetOf("d", rows, { requireLabels: true }),
    labelMapOf(["x", "y"]),
    4,
  );
  expect([[...encoded.offsets], [...encoded.labels], encoded.truncated]).toEqual([[0, 4, 7], [1, 0], 1]);
});

test("a dataset's hash follows its tokens and labels", async () => {
  const tokenizer = await load(tiny());
  const hash = async (text: string, label: string) => {
    const dataset = datasetOf("d", [{ text, label }], { requireLabels: true });
    return (await encodeDataset(tokenizer, dataset, labelMapOf(["x", "y"]), 9)).hash;
  };
  expect(await hash("a", "x")).toBe(await hash("A", "x"));
  const others = [await hash("a", "x"), await hash("b", "x"), await hash("a", "y"), await hash("a b", "x")];
  expect(new Set(others).size).toBe(4);
});

test("the vocabulary must fit the embeddings", async () => {
  await expect(load(tiny(), { vocabSize: 8 })).rejects.toThrow(/aba +expected ids below 8.*received 8/);
  expect((await load(tiny(), { vocabSize: 9 })).notices).toEqual([]);
  expect((await load(tiny(), { vocabSize: 16 })).notices[0]).toContain("9 ids, the embeddings 16 rows");
  const pair = await load(tiny(), { typeVocabSize: 1 });
  expect(pair.encode("a", undefined, 9).ids.length).toBe(3);
  expect(() => pair.encode("a", "b", 9)).toThrow(/type_vocab_size +expected at least 2, received 1/);
});

test("another kind goes through the library", async () => {
  const vocab = { a: 0, b: 1, ab: 2, "<s>": 3 };
  const tokenizer = await load(
    tiny({
      normalizer: null,
      pre_tokenizer: { type: "Whitespace" },
      post_processor: null,
      added_tokens: [],
      decoder: null,
      model: { type: "BPE", vocab, merges: ["a b"] },
    }),
  );
  expect([tokenizer.kind, tokenizer.vocabSize]).toEqual(["BPE", 4]);
  expect(tokenizer.encode("ab ba", undefined, 9).ids).toEqual([2, 1, 0]);
});

test("malformed files name file and field", async () => {
  const cases: readonly [unknown, RegExp][] = [
    ["{", /tokenizer.json +expected JSON/],
    ["[]", /malformed/],
    [{}, /model/],
    [tiny({ model: { type: "WordPiece", vocab: { "[UNK]": -1 } } }), /model.vocab.\[UNK\]/],
    [
      tiny({ model: { type: "WordPiece", vocab: { a: 0 } } }),
      /model.unk_token +expected a token of the vocabulary, received "\[UNK\]"/,
    ],
    [
      tiny({ normalizer: { type: "BertNormalizer", lowercase: 1 } }),
      /normalizer.lowercase +expected boolean, received number$/,
    ],
    [
      tiny({ post_processor: { type: "Mystery" } }),
      /post_processor +expected TemplateProcessing.*received Mystery/,
    ],
    [
      tiny({
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "?", type_id: 0 } }],
          pair: [],
        },
      }),
      /well-formed TemplateProcessing/,
    ],
    [tiny({ model: { type: "Nothing" } }), /@huggingface\/tokenizers reads/],
  ];
  for (const [json, says] of cases) {
    const error = await load(json).then(
      () => null,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).message).toMatch(says);
    expect((error as ModelError).message).toContain("tokenizer.json");
  }
  rmSync(path.join(folder, "tokenizer.json"));
  await expect(loadTokenizer(folder)).rejects.toThrow(/no such file; in Python: AutoTokenizer/);
});
