/**
 * The tensors of a BERT encoder with a classification head: names, shapes, groups, weight decay.
 *
 * V vocab_size · P max_position_embeddings · T type_vocab_size · C hidden_size · F intermediate_size · R classes
 */
import type { BertConfig, Pooling } from "./types.js";

export interface TensorSpec {
  /** Without the `bert.` prefix. */
  readonly name: string;
  readonly shape: readonly number[];
  /** "embeddings", "layer.0", …, "head": what has one learning rate. */
  readonly group: string;
  /** Weight decay applies. */
  readonly decay: boolean;
}

/** Every tensor of the model, bottom to top. Mean pooling has no pooler. */
export function bertTensors(config: BertConfig, numLabels: number, pooling: Pooling): TensorSpec[] {
  const { hidden_size: C, intermediate_size: F } = config;
  const norm = (name: string): Named[] => [
    [`${name}.weight`, [C]],
    [`${name}.bias`, [C]],
  ];
  const linear = (name: string, rows: number, columns: number): Named[] => [
    [`${name}.weight`, [rows, columns]],
    [`${name}.bias`, [rows]],
  ];
  const tensors: Named[] = [
    ["embeddings.word_embeddings.weight", [config.vocab_size, C]],
    ["embeddings.position_embeddings.weight", [config.max_position_embeddings, C]],
    ["embeddings.token_type_embeddings.weight", [config.type_vocab_size, C]],
    ...norm("embeddings.LayerNorm"),
  ];
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `encoder.layer.${i}`;
    tensors.push(
      ...linear(`${layer}.attention.self.query`, C, C),
      ...linear(`${layer}.attention.self.key`, C, C),
      ...linear(`${layer}.attention.self.value`, C, C),
      ...linear(`${layer}.attention.output.dense`, C, C),
      ...norm(`${layer}.attention.output.LayerNorm`),
      ...linear(`${layer}.intermediate.dense`, F, C),
      ...linear(`${layer}.output.dense`, C, F),
      ...norm(`${layer}.output.LayerNorm`),
    );
  }
  if (pooling === "cls") tensors.push(...linear("pooler.dense", C, C));
  tensors.push(...linear("classifier", numLabels, C));
  return tensors.map(([name, shape]) => ({ name, shape, group: groupOf(name), decay: hasWeightDecay(name) }));
}

type Named = readonly [name: string, shape: readonly number[]];

/** "embeddings", "layer.<i>" or "head" (pooler and classifier). */
export function groupOf(name: string): string {
  const layer = /^encoder\.(layer\.\d+)\./.exec(name);
  if (layer) return layer[1]!;
  return name.startsWith("embeddings.") ? "embeddings" : "head";
}

/** The groups of a model, bottom to top. */
export function groupsOf(config: BertConfig): string[] {
  return ["embeddings", ...Array.from({ length: config.num_hidden_layers }, (_, i) => `layer.${i}`), "head"];
}

/**
 * Hugging Face's rule: no decay for biases and for the weights of normalisation layers. Its Trainer leaves out parameters of
 * LayerNorm modules and names that hold "bias", "layernorm", "rmsnorm", or "norm" as a part of its own or after an underscore.
 */
export function hasWeightDecay(name: string): boolean {
  return !/bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.)/.test(name.toLowerCase());
}

/**
 * The name we use for a tensor of a file, or null for one that a classifier has no use for: `bert.` is dropped, TensorFlow's
 * gamma and beta are a LayerNorm's weight and bias.
 */
export function canonicalName(name: string): string | null {
  const bare = name
    .replace(/^bert\./, "")
    .replace(/LayerNorm\.gamma$/, "LayerNorm.weight")
    .replace(/LayerNorm\.beta$/, "LayerNorm.bias");
  return UNUSED.test(bare) ? null : bare;
}

// Buffers older versions saved, and the pre-training heads.
const UNUSED = /^(embeddings\.(position_ids|token_type_ids)|cls\.(predictions|seq_relationship)\..*)$/;

/** The name of a tensor in a file of BertForSequenceClassification. */
export function exportName(name: string): string {
  return name.startsWith("classifier.") ? name : `bert.${name}`;
}
