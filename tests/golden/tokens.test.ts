// Tokens equal to Hugging Face's: hard texts one by one, whole datasets by hash. tests/golden/generate_tokens.py made tokens.json.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { encodeDataset } from "../../src/data/encode.js";
import { readDataset } from "../../src/data/reader.js";
import { type Encoding, loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.js";
import { readTokenizerJson } from "../../src/data/tokenizer-json.js";
import { datasetOf } from "../unit/data/dataset-of.js";
import { here, repository } from "./read.js";

interface GoldenText {
  readonly text: string;
  readonly text_b?: string;
  readonly [idsOrSecond: string]: unknown;
}

interface Golden {
  readonly datasets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly texts: readonly GoldenText[];
  /** Pairs cut on the left at max_length 16. */
  readonly left: readonly {
    readonly text: string;
    readonly text_b: string;
    readonly ids: readonly number[];
  }[];
  readonly variants: readonly { readonly normalizer: object; readonly sha256: string }[];
  readonly added: {
    readonly tokens: readonly object[];
    readonly texts: readonly { readonly text: string; readonly ids: readonly number[] }[];
  };
}

const golden = JSON.parse(readFileSync(path.join(here, "tokens.json"), "utf8")) as Golden;
const model = [
  path.join(repository, "packages/demo/model"),
  path.join(repository, "../shared/models/minilm-l6"),
].find((folder) => existsSync(path.join(folder, "tokenizer.json")))!;
const data = path.join(repository, "../shared/data");

const line = (ids: ArrayLike<number>, types: ArrayLike<number>) =>
  `${Array.from(ids).join(" ")}|${Array.from(types).join(" ")}\n`;

describe.each([128, 16])("hard texts at max_length %i", (length) => {
  test("ids, token types and the truncated flag", async () => {
    const tokenizer = await loadTokenizer(model);
    for (const row of golden.texts) {
      const encoding: Encoding = tokenizer.encode(row.text, row.text_b, length);
      const second = row[`second${length}`] as number;
      const ids = row[String(length)] as number[];
      expect({ text: row.text, ids: encoding.ids }).toEqual({ text: row.text, ids });
      expect(encoding.types).toEqual(ids.map((_, i) => (i >= ids.length - second ? 1 : 0)));
      const whole = tokenizer.encode(row.text, row.text_b, 100_000).ids.length;
      expect(encoding.truncated).toBe(whole > ids.length);
    }
  });

  test("packed, they are the same", async () => {
    const tokenizer: Tokenizer = await loadTokenizer(model);
    const singles = golden.texts.filter((row) => row.text_b === undefined).map(({ text }) => ({ text }));
    const encoded = await encodeDataset(
      tokenizer,
      datasetOf("hard", singles, { requireLabels: false }),
      null,
      length,
    );
    expect(encoded.offsets.length).toBe(singles.length + 1);
    for (const [i, { text }] of singles.entries()) {
      const ids = encoded.ids.slice(encoded.offsets[i], encoded.offsets[i + 1]);
      expect(Array.from(ids)).toEqual(tokenizer.encode(text, undefined, length).ids);
    }
  });
});

test("pairs cut on the left", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "permafrost-tokens-"));
  cpSync(path.join(model, "tokenizer.json"), path.join(folder, "tokenizer.json"));
  writeFileSync(path.join(folder, "tokenizer_config.json"), '{"truncation_side": "left"}');
  const tokenizer = await loadTokenizer(folder);
  for (const { text, text_b, ids } of golden.left) {
    expect({ text, text_b, ids: tokenizer.encode(text, text_b, 16).ids }).toEqual({ text, text_b, ids });
  }
  rmSync(folder, { recursive: true });
});

test("added tokens with every switch", () => {
  const json = JSON.parse(readFileSync(path.join(model, "tokenizer.json"), "utf8"));
  json.added_tokens.push(...golden.added.tokens);
  const { encode } = readTokenizerJson(json, {}, "tokenizer.json");
  for (const { text, ids } of golden.added.texts) {
    expect({ text, ids: encode(text).flat() }).toEqual({ text, ids });
  }
});

test.each(golden.variants)("other normaliser: $normalizer", ({ normalizer, sha256 }) => {
  const json = JSON.parse(readFileSync(path.join(model, "tokenizer.json"), "utf8"));
  Object.assign(json.normalizer, normalizer);
  const { encode } = readTokenizerJson(json, {}, "tokenizer.json");
  const hash = createHash("sha256");
  for (const { text } of golden.texts) hash.update(line(encode(text).flat(), []));
  expect(hash.digest("hex")).toBe(sha256);
});

if (!existsSync(data))
  process.stderr.write("tokens of whole datasets: skipped, ../shared/data is not there\n");

describe.skipIf(!existsSync(data))("every text of ../shared/data", () => {
  test.each(Object.keys(golden.datasets))("%s", async (name) => {
    const tokenizer = await loadTokenizer(model);
    const dataset = await readDataset(path.join(data, name), { requireLabels: false });
    for (const [length, expected] of Object.entries(golden.datasets[name]!)) {
      const { ids, types, offsets } = await encodeDataset(tokenizer, dataset, null, Number(length));
      const hash = createHash("sha256");
      for (let i = 0; i + 1 < offsets.length; i++) {
        const [from, to] = [offsets[i]!, offsets[i + 1]!];
        hash.update(line(ids.subarray(from, to), types.subarray(from, to)));
      }
      expect({ length, hash: hash.digest("hex") }).toEqual({ length, hash: expected });
    }
  });
});
