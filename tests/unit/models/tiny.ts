/** A tiny BERT folder, made in a temporary place: what the tests bend and break. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import { bertTensors } from "../../../src/models/bert.js";
import { SafetensorsFile } from "../../../src/models/safetensors.js";
import { writeSafetensors } from "../../../src/models/safetensors-write.js";
import type { BertConfig, Tensor } from "../../../src/models/types.js";

export const TINY = {
  model_type: "bert",
  vocab_size: 11,
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 1,
  intermediate_size: 12,
  max_position_embeddings: 16,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  classifier_dropout: null,
  initializer_range: 0.02,
  pad_token_id: 0,
} as const satisfies BertConfig;

/** A folder for this test file, removed after it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "permafrost-models-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Tensors of the tiny model: encoder and pooler, and a classifier when there are classes. */
export function tinyTensors(classes = 0): Tensor[] {
  return bertTensors(TINY, Math.max(classes, 1), "cls")
    .filter(({ name }) => classes > 0 || !name.startsWith("classifier."))
    .map(({ name, shape }, t) => ({
      name,
      shape,
      data: Float32Array.from(
        { length: shape.reduce((a, b) => a * b, 1) },
        (_, i) => ((i * 37 + t * 11) % 64) / 64,
      ),
    }));
}

/** All tensors of a file, fp32, in the order of their data. */
export async function readSafetensors(file: string): Promise<Map<string, Tensor>> {
  await using opened = await SafetensorsFile.open(file);
  const out = new Map<string, Tensor>();
  for (const entry of opened.entries) out.set(entry.name, await opened.read(entry));
  return out;
}

/** Writes config.json (changed by `config`) and model.safetensors. */
export async function tinyFolder(
  dir: string,
  config: Readonly<Record<string, unknown>> = {},
  tensors: readonly Tensor[] | null = tinyTensors(),
): Promise<string> {
  mkdirSync(dir, { recursive: true });
  writeFileSync(path.join(dir, "config.json"), JSON.stringify({ ...TINY, ...config }));
  if (tensors) await writeSafetensors(path.join(dir, "model.safetensors"), tensors);
  return dir;
}
