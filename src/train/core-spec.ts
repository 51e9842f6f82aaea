/** A model folder and machine options as the core's spec. */
import os from "node:os";
import type { ModelFolder } from "../models/types.js";
import type { ModelSpec, Precision } from "../native/contract.js";

export interface MachineOptions {
  readonly precision: Precision;
  readonly threads?: number | undefined;
  readonly isa: string;
  readonly cache: "auto" | "off";
  readonly cacheGib: number;
}

export const threadsOf = (options: Pick<MachineOptions, "threads">) =>
  options.threads ?? os.availableParallelism();

export function coreSpec(
  { config, pooling }: Pick<ModelFolder, "config" | "pooling">,
  numLabels: number,
  options: MachineOptions,
): ModelSpec {
  return {
    vocabSize: config.vocab_size,
    hiddenSize: config.hidden_size,
    numLayers: config.num_hidden_layers,
    numHeads: config.num_attention_heads,
    intermediateSize: config.intermediate_size,
    maxPositions: config.max_position_embeddings,
    typeVocabSize: config.type_vocab_size,
    layerNormEps: config.layer_norm_eps,
    padTokenId: config.pad_token_id,
    numLabels,
    pooling,
    hiddenDropout: config.hidden_dropout_prob,
    attentionDropout: config.attention_probs_dropout_prob,
    classifierDropout: config.classifier_dropout ?? config.hidden_dropout_prob,
    threads: threadsOf(options),
    isa: options.isa,
    cacheBytes: 0,
  };
}

/** Memory and temporary-file bytes of the prefix cache. */
export function coreCacheBudget({
  cache,
  cacheGib,
}: MachineOptions): Pick<ModelSpec, "cacheBytes" | "cacheFileBytes" | "cacheDirectory"> {
  const bytes = cache === "off" ? 0 : Math.floor(cacheGib * 2 ** 30);
  return { cacheBytes: bytes, cacheFileBytes: 8 * bytes, cacheDirectory: os.tmpdir() };
}
