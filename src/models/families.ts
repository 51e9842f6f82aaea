/** The model families permafrost reads, by `model_type`. A new one is a file like bert.ts and an entry here. */
import { ModelError } from "../errors.js";
import { bertTensors, canonicalName, type TensorSpec } from "./bert.js";
import { parseBertConfig } from "./config.js";
import type { BertConfig, Pooling } from "./types.js";

export interface Family {
  /** Hugging Face's class for the classifier. */
  readonly architecture: string;
  /** @throws ModelError ERR_CONFIG with every problem. */
  parseConfig(raw: Readonly<Record<string, unknown>>, file: string): BertConfig;
  tensors(config: BertConfig, numLabels: number, pooling: Pooling): TensorSpec[];
  /** Our name for a tensor of a file; null for one that is not used. */
  canonicalName(name: string): string | null;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  bert: {
    architecture: "BertForSequenceClassification",
    parseConfig: parseBertConfig,
    tensors: bertTensors,
    canonicalName,
  },
};

/** @throws ModelError ERR_MODEL_TYPE listing the supported families. */
export function familyOf(modelType: unknown, file: string): Family {
  const family =
    typeof modelType === "string" && Object.hasOwn(FAMILIES, modelType) ? FAMILIES[modelType] : undefined;
  if (family) return family;
  throw new ModelError("ERR_MODEL_TYPE", `${file}: this kind of model is not supported yet`, [
    {
      path: "model_type",
      expected: `one of ${Object.keys(FAMILIES).join(", ")}`,
      received: modelType === undefined ? "nothing" : JSON.stringify(modelType),
      ...(modelType === undefined ? { hint: "is it the folder of a transformers model?" } : {}),
    },
  ]);
}
