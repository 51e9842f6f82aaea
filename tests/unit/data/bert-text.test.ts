// Every code point through every switch of the BERT normaliser, and through the splitter, against Hugging Face's tokenizers.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type BertNormalizer, normalizeBert, splitBert } from "../../../src/data/bert-text.js";

const golden = JSON.parse(readFileSync(new URL("../../golden/tokens.json", import.meta.url), "utf8")) as {
  unicode: Record<keyof BertNormalizer | "words", string>;
};

const NONE = { clean_text: false, handle_chinese_chars: false, strip_accents: false, lowercase: false };
const SWITCHES = ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"] as const;

// Decompositions and small letters come from Node's own tables; the golden values know Unicode 16.
const recent = Number.parseInt(process.versions.unicode ?? "0", 10) >= 16;

function* codePoints(): Generator<string> {
  for (let c = 0; c < 0x110000; c++) if (c < 0xd800 || c > 0xdfff) yield String.fromCodePoint(c);
}

test.for(SWITCHES)("%s, every code point", (key, context) => {
  const fromNode = key === "strip_accents" || key === "lowercase";
  context.skip(fromNode && !recent, `Unicode ${process.versions.unicode} here, 16 in the golden values`);
  const hash = createHash("sha256");
  const options = { ...NONE, [key]: true };
  for (const c of codePoints()) hash.update(`${normalizeBert(`a${c}b`, options)}\n`);
  expect(hash.digest("hex")).toBe(golden.unicode[key]);
});

test("words, every code point", () => {
  const hash = createHash("sha256");
  for (const c of codePoints()) hash.update(String(splitBert(`a${c}b`).length));
  expect(hash.digest("hex")).toBe(golden.unicode.words);
});

test("a lone surrogate is no character", () => {
  expect(normalizeBert("a\ud800b\udc00", { ...NONE, clean_text: true })).toBe("ab");
});
