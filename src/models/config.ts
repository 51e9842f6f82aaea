/** config.json of the BERT family, checked: every problem is reported at once, by field. */
import { z } from "zod";
import { type Issue, ModelError } from "../errors.js";
import type { BertConfig } from "./types.js";

const size = (max: number) => z.int().min(1).max(max);
const probability = z.number().min(0).max(0.999);

// Bounds are those of the core (native/addon/args.cc), so that what it would refuse is refused here, by its name in the file.
// They keep sizes far from overflow; real models are well inside. Defaults are those of Hugging Face's BertConfig, for fields
// that older files leave out; what decides a tensor's shape has no default.
const schema = z.object({
  model_type: z.literal("bert"),
  vocab_size: size(2 ** 24),
  hidden_size: size(2 ** 16),
  num_hidden_layers: size(1024),
  num_attention_heads: size(1024),
  intermediate_size: size(2 ** 18),
  max_position_embeddings: size(2 ** 16),
  type_vocab_size: size(2 ** 10).default(2),
  layer_norm_eps: z.number().positive().lt(1).default(1e-12),
  hidden_act: z.literal("gelu").default("gelu"),
  hidden_dropout_prob: probability.default(0.1),
  attention_probs_dropout_prob: probability.default(0.1),
  classifier_dropout: probability.nullable().default(null),
  initializer_range: z.number().min(0).max(10).default(0.02),
  pad_token_id: z.int().min(0).nullable().default(0),
});

/** No id: every row of the word embeddings gets a gradient, as with `padding_idx=None` in PyTorch. */
const NO_PAD_TOKEN = -1;

/** Keys that change what the model computes, with the only values we compute. */
const FIXED: Readonly<Record<string, readonly unknown[]>> = {
  position_embedding_type: ["absolute"],
  is_decoder: [false],
  add_cross_attention: [false],
  is_encoder_decoder: [false],
};

/**
 * @param raw  config.json as parsed, of `model_type` "bert".
 * @param file named in errors.
 * @throws ModelError ERR_CONFIG with every problem.
 */
export function parseBertConfig(raw: Readonly<Record<string, unknown>>, file: string): BertConfig {
  const issues: Issue[] = [];
  const parsed = schema.safeParse(raw);
  for (const issue of parsed.error?.issues ?? []) issues.push(toIssue(issue, raw));
  for (const [key, allowed] of Object.entries(FIXED)) {
    const value = raw[key];
    if (value === undefined || value === null || allowed.includes(value)) continue;
    issues.push({ path: key, expected: allowed.map(show).join(" or "), received: show(value) });
  }
  if (raw.pruned_heads && Object.keys(raw.pruned_heads).length > 0) {
    issues.push({ path: "pruned_heads", expected: "no pruned heads", received: show(raw.pruned_heads) });
  }
  if (raw.quantization_config) {
    issues.push({
      path: "quantization_config",
      expected: "unquantised weights",
      received: "a quantised model",
    });
  }
  const config = parsed.data;
  if (config && config.hidden_size % (8 * config.num_attention_heads) !== 0) {
    issues.push({
      path: "hidden_size",
      expected: `num_attention_heads (${config.num_attention_heads}) times a multiple of 8, the head size`,
      received: String(config.hidden_size),
    });
  }
  if (config?.pad_token_id != null && config.pad_token_id >= config.vocab_size) {
    const expected = `an id below vocab_size (${config.vocab_size})`;
    issues.push({ path: "pad_token_id", expected, received: String(config.pad_token_id) });
  }
  if (!config || issues.length > 0) throw configError(file, issues);
  return { ...config, pad_token_id: config.pad_token_id ?? NO_PAD_TOKEN };
}

/** One error for all problems of a config.json. */
export function configError(file: string, issues: readonly Issue[]): ModelError {
  const count = issues.length === 1 ? "1 problem" : `${issues.length} problems`;
  return new ModelError("ERR_CONFIG", `${file}: ${count}`, issues);
}

function toIssue(issue: z.core.$ZodIssue, raw: Readonly<Record<string, unknown>>): Issue {
  const path = issue.path.join(".");
  const received = show(raw[path]);
  const hint =
    path === "hidden_act" && raw[path] !== undefined ? "other activations are not supported yet" : null;
  return { path, expected: describe(issue), received, ...(hint ? { hint } : {}) };
}

function describe(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int" ? "an integer" : `a ${issue.expected}`;
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(" or ");
    case "too_small":
      return `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    default:
      return issue.message;
  }
}

/** A value of config.json, for messages. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
