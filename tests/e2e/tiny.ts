/** A tiny random BERT folder and a dataset it can learn, made on the spot. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { bertTensors } from "../../src/models/bert.js";
import { parseBertConfig } from "../../src/models/config.js";
import { writeSafetensors } from "../../src/models/safetensors-write.js";

const WORDS = ["red", "green", "blue", "cat", "dog", "sun", "moon", "tree", "stone", "river", "the", "a"];

export async function writeTinyModel(dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...WORDS];
  const raw = {
    architectures: ["BertModel"],
    model_type: "bert",
    vocab_size: vocab.length,
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    intermediate_size: 64,
    max_position_embeddings: 128,
    type_vocab_size: 2,
    layer_norm_eps: 1e-12,
    hidden_act: "gelu",
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
    initializer_range: 0.02,
    pad_token_id: 0,
  };
  writeFileSync(path.join(dir, "config.json"), JSON.stringify(raw));
  const special = (id: number) => ({
    id,
    content: vocab[id],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const piece = (name: string) => ({ SpecialToken: { id: name, type_id: 0 } });
  writeFileSync(
    path.join(dir, "tokenizer.json"),
    JSON.stringify({
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [0, 1, 2, 3, 4].map(special),
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: {
        type: "TemplateProcessing",
        single: [piece("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, piece("[SEP]")],
        pair: [
          piece("[CLS]"),
          { Sequence: { id: "A", type_id: 0 } },
          piece("[SEP]"),
          { Sequence: { id: "B", type_id: 1 } },
          { SpecialToken: { id: "[SEP]", type_id: 1 } },
        ],
        special_tokens: Object.fromEntries(
          ["[CLS]", "[SEP]"].map((t) => [t, { id: t, ids: [vocab.indexOf(t)], tokens: [t] }]),
        ),
      },
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(vocab.map((word, i) => [word, i])),
      },
    }),
  );
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const tensors = bertTensors(parseBertConfig(raw, "config.json"), 2, "cls")
    .filter(({ name }) => !name.startsWith("classifier"))
    .map(({ name, shape }) => {
      const gain = name.endsWith("LayerNorm.weight");
      const size = shape.reduce((a, b) => a * b, 1);
      return { name, shape, data: Float32Array.from({ length: size }, () => (gain ? 1 : next() * 0.3)) };
    });
  await writeSafetensors(path.join(dir, "model.safetensors"), tensors, { dtype: "F32" });
}

/** The model and three files of rows: model/, train.jsonl, dev.jsonl, test.jsonl. */
export async function writeProblem(at: (name: string) => string): Promise<void> {
  await writeTinyModel(at("model"));
  writeColours(at("train.jsonl"), 48, 0);
  writeColours(at("dev.jsonl"), 30, 1);
  writeColours(at("test.jsonl"), 30, 2);
}

/** Rows whose label is the colour they name. */
export function writeColours(file: string, rows: number, seed: number): void {
  const colours = ["red", "green", "blue"];
  const lines = Array.from({ length: rows }, (_, i) => {
    const colour = colours[(i + seed) % 3]!;
    const words = [WORDS[3 + ((i * 7 + seed) % 7)]!, "the", colour, WORDS[3 + ((i * 5 + seed) % 7)]!];
    return JSON.stringify({ text: words.join(" "), label: colour });
  });
  writeFileSync(file, `${lines.join("\n")}\n`);
}
