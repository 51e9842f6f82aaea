// Long texts read in pieces: the same ids as when all of the text is encoded, at a cost that max_length bounds.
import { describe, expect, test, vi } from "vitest";
import { readWords, wordEndsOf } from "../../../src/data/pieces.js";
import { Tokenizer } from "../../../src/data/tokenizer.js";
import { readTokenizerJson, type TokenizerJson } from "../../../src/data/tokenizer-json.js";
import { Xoshiro } from "../../../src/random/xoshiro.js";

const WORDS = [
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "[MASK]",
  "a",
  "b",
  "##a",
  "##b",
  "e",
  "##e",
  "你",
  "好",
  ".",
];

interface Added {
  readonly content: string;
  readonly [option: string]: unknown;
}

function tokenizerJson(added: readonly Added[] = [], normalizer: object = {}) {
  const first = WORDS.length;
  return {
    added_tokens: [
      { id: 3, content: "[SEP]", special: true, normalized: false },
      ...added.map((token, i) => ({ id: first + i, ...token })),
    ],
    normalizer: { type: "BertNormalizer", ...normalizer },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      vocab: Object.fromEntries(WORDS.map((word, i) => [word, i])),
    },
  };
}

/** Every kind of added token beside every kind of normaliser: what may reach across a cut, or look across it. */
const VARIANTS: Readonly<Record<string, object>> = {
  plain: tokenizerJson(),
  "cased, accents kept": tokenizerJson([], { lowercase: false, strip_accents: false }),
  "nothing cleaned, ideographs in words": tokenizerJson([], {
    clean_text: false,
    handle_chinese_chars: false,
  }),
  "tokens that swallow white space": tokenizerJson([
    { content: "<l>", lstrip: true },
    { content: "<r>", rstrip: true },
    { content: "<w>", single_word: true },
    { content: "ab", single_word: true, normalized: true },
  ]),
  "a token with white space": tokenizerJson([{ content: "a b" }]),
  "a normalised token with white space": tokenizerJson([{ content: "b a", normalized: true }]),
  "a token of ideographs": tokenizerJson([{ content: "你好" }]),
  "a normalised token of ideographs": tokenizerJson([{ content: "你", normalized: true }]),
  "tokens of punctuation": tokenizerJson([{ content: ",." }, { content: "a.b", normalized: true }]),
  "a token that decomposes to punctuation": tokenizerJson([{ content: "a≮", normalized: true }]),
};

const FRAGMENTS = [
  ...["a", "b", "ab", "A", "e", "é", "É", "e\u0301", "\u0301", "Σ", "İ", "ß", "ﬁ", "1", "_", "a".repeat(120)],
  ...[
    " ",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\u0085",
    "\u000b",
    "\u200b",
    "\u0000",
    "\ufffd",
  ],
  ...[".", ",", ",.", "a.b", "-", "[", "]", "<", "≮", "。", "؟", "\u0338"],
  ...["你", "好", "你好", "\uf900", "𠀀", "は", "한", "ไทย", "😀", "䷀"],
  ...["[SEP]", "[MASK]", "<l>", "<r>", "<w>", "a b", "b a"],
];

const random = new Xoshiro([1, 2, 3, 4]);
const randomText = (fragments: number) =>
  Array.from({ length: fragments }, () => FRAGMENTS[random.below(FRAGMENTS.length)]!).join("");

test.each(Object.entries(VARIANTS))(
  "%s: cut at any end of a word, both parts as in the whole",
  (name, json) => {
    const { encode } = readTokenizerJson(json, {}, "tokenizer.json");
    const wordEnds = wordEndsOf(json as TokenizerJson)!;
    let cuts = 0;
    for (let i = 0; i < 400; i++) {
      const text = randomText(25);
      const whole = JSON.stringify(encode(text));
      for (let at = 1; at < text.length; at++) {
        if (!wordEnds(text, at)) continue;
        cuts++;
        const parts = [...encode(text.slice(0, at)), ...encode(text.slice(at))];
        if (JSON.stringify(parts) !== whole) expect({ name, text, at, parts }).toEqual(whole);
      }
    }
    expect(cuts).toBeGreaterThan(400);
  },
);

describe.each(["right", "left"] as const)("cut on the %s", (side) => {
  test.each(Object.entries(VARIANTS))("%s: ids, types and truncated of long texts and pairs", (_, json) => {
    const parts = {
      ...readTokenizerJson(json, {}, "tokenizer.json"),
      side,
      typeVocabSize: 2,
      notices: [],
    };
    const tokenizer = new Tokenizer({ ...parts, wordEnds: wordEndsOf(json as TokenizerJson) });
    const whole = new Tokenizer({ ...parts, wordEnds: null });
    for (let i = 0; i < 8; i++) {
      const text = randomText(random.below(4000));
      const textB = i % 2 === 0 ? undefined : randomText(random.below(4000));
      for (const maxLength of [3, 128, 1500])
        expect(tokenizer.encode(text, textB, maxLength)).toEqual(whole.encode(text, textB, maxLength));
    }
  });

  test.each([
    ["words", "a bab. ".repeat(150_000)],
    ["ideographs without white space", "你好".repeat(500_000)],
    ["no white space", "ab/ba+".repeat(150_000)],
  ])("a million characters, %s: some thousand are encoded", (_, text) => {
    const json = tokenizerJson();
    const encode = vi.fn(readTokenizerJson(json, {}, "tokenizer.json").encode);
    const words = readWords(text, encode, {
      maxTokens: 512,
      side,
      wordEnds: wordEndsOf(json as TokenizerJson),
    });
    expect(words.flat().length).toBeGreaterThan(512);
    expect(encode.mock.calls.reduce((sum, [piece]) => sum + piece.length, 0)).toBeLessThan(5000);
  });

  test("white space after the last token that fits is nothing left; one more word is", () => {
    const json = { ...tokenizerJson(), post_processor: null };
    const tokenizer = new Tokenizer({
      ...readTokenizerJson(json, {}, "tokenizer.json"),
      ...{ side, typeVocabSize: 2, notices: [], wordEnds: wordEndsOf(json as TokenizerJson) },
    });
    const [words, blank] = ["a ".repeat(500), " ".repeat(10_000)];
    const both = (more: string) => (side === "right" ? words + blank + more : more + blank + words);
    expect(tokenizer.encode(both(""), undefined, 500)).toMatchObject({ truncated: false });
    expect(tokenizer.encode(both("b"), undefined, 500)).toMatchObject({ truncated: true });
  });
});

test("other kinds of tokenizer are not cut", () => {
  for (const change of [
    { normalizer: null },
    { pre_tokenizer: { type: "Whitespace" } },
    { model: { type: "BPE" } },
  ])
    expect(wordEndsOf({ ...tokenizerJson(), ...change })).toBeNull();
});
