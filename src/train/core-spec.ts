/** A model folder and machine options as the core's spec. */
import { statfsSync } from "node:fs";
import os from "node:os";
import { ConfigError } from "../errors.js";
import type { ModelFolder } from "../models/types.js";
import { addon } from "../native/call.js";
import type { ModelSpec, Precision } from "../native/contract.js";
import { machineMemory, machineThreads } from "../native/machine.js";

export interface MachineOptions {
  readonly precision: Precision;
  readonly threads?: number | undefined;
  readonly isa: string;
  readonly cache: "auto" | "off";
  /** @default 1, or an eighth of the memory where that is less */
  readonly cacheGib?: number | undefined;
}

export const threadsOf = (options: Pick<MachineOptions, "threads">) => options.threads ?? machineThreads();

/** @throws ConfigError ERR_CONFIG when this machine cannot run the kernels asked for. */
export function coreSpec(
  { config, pooling }: Pick<ModelFolder, "config" | "pooling">,
  numLabels: number,
  options: Pick<MachineOptions, "threads" | "isa">,
): ModelSpec {
  checkIsa(options.isa);
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

/** The core would refuse it too, but only it knows the machine, and only we the option's name. */
function checkIsa(isa: string): void {
  const { isas } = addon().listDevices()[0]!;
  if (isa === "auto" || isas.includes(isa)) return;
  throw new ConfigError("ERR_CONFIG", "these kernels do not run on this machine", [
    { path: "isa", expected: `auto or one of ${isas.join(", ")}`, received: JSON.stringify(isa) },
  ]);
}

/** Memory and temporary-file bytes of the prefix cache. */
export function coreCacheBudget(
  { cache, cacheGib }: MachineOptions,
  memory = machineMemory(),
): Pick<ModelSpec, "cacheBytes" | "cacheFileBytes" | "cacheDirectory"> {
  const gib = cacheGib ?? Math.min(1, memory / 2 ** 30 / 8);
  const bytes = cache === "off" ? 0 : Math.floor(gib * 2 ** 30);
  return { cacheBytes: bytes, cacheFileBytes: 8 * bytes, cacheDirectory: spillDirectory() };
}

/** Types of Linux's statfs that are memory, /tmp's on some systems: what is spilled there has left nothing. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]); // tmpfs, ramfs

/** Where temporary files go that are on a disk; none: "". */
function spillDirectory(): string {
  const onDisk = (folder: string) => {
    try {
      return process.platform !== "linux" || !IN_MEMORY.has(statfsSync(folder).type);
    } catch {
      return false;
    }
  };
  return [os.tmpdir(), "/var/tmp"].find(onDisk) ?? "";
}
