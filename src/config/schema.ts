/**
 * Every option, declared once: types, command-line flags, help, config files and checks all come from here. Names are
 * Hugging Face's TrainingArguments (5.18) or Optuna's where those have one.
 *
 * Defaults that differ from Hugging Face's, because they serve small data better: weight_decay 0.01 (0), warmup_steps
 * 0.1 (0), eval_strategy epoch (no), load_best_model_at_end true (false) and metric_for_best_model accuracy (loss) for one
 * training, per_device_train_batch_size 16 (8), eval_steps 50 and logging_steps 10 (500), save_steps none (500).
 */
import { z } from "zod";
import { type ConfigOf, type InputOf, option } from "./option.js";

const count = (least: number) => z.number().int().min(least);
const positive = z.number().positive();
const range = z.tuple([positive, positive]).refine(([low, high]) => low <= high, "[low, high], low ≤ high");
const fraction = z.number().min(0).lt(1);
/** The addon takes no more (native/addon/addon.cc). */
const MOST_THREADS = 1024;
/** Eight times as much, for the temporary file, is what the addon can count in bytes. */
const MOST_CACHE_GIB = 2 ** 20 - 1;

const model = {
  model: option(z.string().min(1), {
    kind: "string",
    group: "data",
    doc: "Hugging Face model folder: config.json, tokenizer.json, model.safetensors",
  }),
  strict: option(z.boolean().default(false), {
    kind: "boolean",
    group: "data",
    doc: "refuse a model with NaN or infinite weights instead of warning",
  }),
};

const machine = {
  precision: option(z.enum(["fp32", "bf16"]).default("fp32"), {
    kind: "string",
    group: "machine",
    doc: "arithmetic of matrix products: fp32, or bf16 with fp32 accumulation and fp32 master weights",
    synonyms: ["bf16"],
    aliasValues: { bf16: "bf16" },
  }),
  threads: option(count(1).max(MOST_THREADS).optional(), {
    kind: "number",
    group: "machine",
    doc: "threads of the core; default: the cores this process may use",
  }),
  isa: option(z.enum(["auto", "avx512", "avx2", "portable", "ref"]).default("auto"), {
    kind: "string",
    group: "machine",
    doc: "kernels: auto takes the best this machine runs",
  }),
};

/** Of the frozen prefix; prediction reads a text once, so it has nothing to keep. */
const prefixCache = {
  cache: option(z.enum(["auto", "off"]).default("auto"), {
    kind: "string",
    group: "machine",
    doc: "keep outputs of the frozen prefix per text, across epochs and trials; same bits either way",
  }),
  cache_gib: option(z.number().min(0).max(MOST_CACHE_GIB).optional(), {
    kind: "number",
    group: "machine",
    doc: "memory the cache may take, GiB; what does not fit moves to a temporary file of up to 8 times as much, or without room there is computed again; default: 1, or an eighth of the memory if that is less",
  }),
};

const encoding = {
  max_length: option(count(2).optional(), {
    kind: "number",
    group: "data",
    doc: "tokens a text is cut at, special tokens included; default: what the model was trained with by permafrost, else 128",
  }),
  pooling: option(z.enum(["cls", "mean"]).optional(), {
    kind: "string",
    group: "data",
    doc: "what the classifier reads: cls (pooler on the first token) or mean over tokens; default: as the folder says, else cls",
  }),
  per_device_eval_batch_size: option(count(1).optional(), {
    kind: "number",
    group: "evaluation",
    doc: "accepted for compatibility: evaluation packs texts by tokens, so it changes neither results nor memory",
  }),
};

const training = {
  ...model,
  train: option(z.string().min(1), {
    kind: "string",
    group: "data",
    doc: "training rows: .jsonl, .csv or .tsv with text[,text_b],label",
  }),
  validation: option(z.string().min(1), {
    kind: "string",
    group: "data",
    doc: "rows that choose: epochs, configurations, when to stop",
  }),
  output_dir: option(z.string().min(1).default("permafrost-out"), {
    kind: "string",
    group: "output",
    doc: "folder for the model, the report and the logs; one run's at a time",
  }),
  num_train_epochs: option(positive.default(3), {
    kind: "number",
    group: "training",
    doc: "passes over the training rows",
  }),
  max_steps: option(z.number().int().default(-1), {
    kind: "number",
    group: "training",
    doc: "optimizer steps; > 0 wins over num_train_epochs, -1: not given",
  }),
  per_device_train_batch_size: option(count(1).default(16), {
    kind: "number",
    group: "training",
    doc: "rows of a step",
  }),
  weight_decay: option(z.number().min(0).default(0.01), {
    kind: "number",
    group: "training",
    doc: "decoupled weight decay; not on biases and LayerNorm",
  }),
  adam_beta1: option(fraction.default(0.9), {
    kind: "number",
    group: "training",
    doc: "decay of AdamW's first moment",
  }),
  adam_beta2: option(fraction.default(0.999), {
    kind: "number",
    group: "training",
    doc: "decay of AdamW's second moment",
  }),
  adam_epsilon: option(z.number().min(1e-30).default(1e-8), {
    kind: "number",
    group: "training",
    doc: "AdamW's epsilon; not 0: some gradients are exactly zero",
  }),
  max_grad_norm: option(z.number().min(0).default(1), {
    kind: "number",
    group: "training",
    doc: "gradients of trained tensors are clipped to this norm; 0: no clipping",
  }),
  warmup_steps: option(z.number().min(0).default(0.1), {
    kind: "number",
    group: "training",
    doc: "linear warm-up: ≥ 1 steps, below 1 a share of all steps (rounded up)",
    aliases: ["warmup_ratio"],
  }),
  lr_scheduler_type: option(
    z.enum(["linear", "cosine", "constant", "constant_with_warmup"]).default("linear"),
    {
      kind: "string",
      group: "training",
      doc: "shape of the learning rate over the steps, as Hugging Face's",
    },
  ),
  train_sampling_strategy: option(z.enum(["random", "sequential"]).default("random"), {
    kind: "string",
    group: "training",
    doc: "a new order of the rows each epoch, or the file's",
  }),
  label_smoothing_factor: option(z.number().min(0).lt(1).default(0), {
    kind: "number",
    group: "training",
    doc: "label smoothing",
  }),
  seed: option(count(0).default(42), {
    kind: "number",
    group: "training",
    doc: "of initialisation, order of rows and dropout",
  }),
  data_seed: option(count(0).optional(), {
    kind: "number",
    group: "training",
    doc: "of the order of rows; default: seed",
  }),
  ...encoding,
  eval_strategy: option(z.enum(["epoch", "steps", "no"]).default("epoch"), {
    kind: "string",
    group: "evaluation",
    doc: "when validation rows are scored",
    aliases: ["evaluation_strategy"],
  }),
  eval_steps: option(count(1).default(50), {
    kind: "number",
    group: "evaluation",
    doc: "steps between scores with eval_strategy steps",
  }),
  metric_for_best_model: option(z.enum(["accuracy", "eval_loss"]).default("accuracy"), {
    kind: "string",
    group: "evaluation",
    doc: "what makes a checkpoint the best: highest accuracy (ties: lowest loss), or lowest loss",
  }),
  load_best_model_at_end: option(z.boolean().default(true), {
    kind: "boolean",
    group: "evaluation",
    doc: "end with the weights of the best evaluation",
  }),
  early_stopping_patience: option(count(1).optional(), {
    kind: "number",
    group: "evaluation",
    doc: "stop after this many evaluations without improvement; default: never",
  }),
  early_stopping_threshold: option(z.number().min(0).default(0), {
    kind: "number",
    group: "evaluation",
    doc: "smallest change of the metric that counts as improvement",
  }),
  save_dtype: option(z.enum(["fp32", "fp16", "bf16"]).default("fp32"), {
    kind: "string",
    group: "output",
    doc: "element type of the written weights",
  }),
  ...machine,
  ...prefixCache,
};

/** Options of `fineTune` and `permafrost train`. */
export const trainOptions = {
  ...training,
  test: option(z.string().min(1).optional(), {
    kind: "string",
    group: "data",
    doc: "rows scored once, at the end",
  }),
  learning_rate: option(z.number().min(0).default(5e-5), {
    kind: "number",
    group: "training",
    doc: "peak rate of every group that learning_rate_per_layer and freeze do not name",
  }),
  learning_rate_per_layer: option(z.record(z.string(), z.number().min(0)).default({}), {
    kind: "json",
    group: "freezing",
    doc: 'peak rate of a group, as JSON: {"embeddings": 0, "layer.0": 0, "layer.5": 2e-5, "head": 1e-3}; exactly 0 freezes it',
  }),
  layer_lr_decay: option(z.number().positive().max(1).default(1), {
    kind: "number",
    group: "freezing",
    doc: "rate of layer i (0 to L-1) is learning_rate · decay^(L-i), of the embeddings learning_rate · decay^(L+1), of the head learning_rate",
  }),
  freeze: option(z.array(z.string()).default([]), {
    kind: "list",
    group: "freezing",
    doc: "groups to freeze: embeddings, layer.0, …, head",
  }),
  logging_steps: option(count(1).default(10), {
    kind: "number",
    group: "output",
    doc: "steps between log entries of trainer_state.json",
  }),
  save_steps: option(count(1).optional(), {
    kind: "number",
    group: "output",
    doc: "steps between checkpoint-<step> folders; default: none",
  }),
  resume_from_checkpoint: option(z.string().min(1).optional(), {
    kind: "string",
    group: "output",
    doc: "checkpoint-<step> folder to go on from; equals never having stopped",
  }),
};

/** Options of `search` and `permafrost search`. */
export const searchOptions = {
  ...training,
  data_seed: {
    ...training.data_seed,
    doc: "of the order of rows in trials; default: seed. A retraining has the order of its own seed",
  },
  eval_strategy: {
    ...training.eval_strategy,
    doc: "when validation rows are scored; at epoch a trial is scored at its end, and for the pruner after about 1/4 and 1/2 of its training, on a sample of the rows that costs 2 % of it",
  },
  metric_for_best_model: {
    ...training.metric_for_best_model,
    doc: "what makes an evaluation the best where that decides; trials are chosen by accuracy whatever it is",
  },
  load_best_model_at_end: option(z.boolean().default(false), {
    kind: "boolean",
    group: "evaluation",
    doc: "score retrainings as eval_strategy says and end them with the weights of the best evaluation; else, as trials, they are scored at their end and stay there",
  }),
  test: option(z.string().min(1), {
    kind: "string",
    group: "data",
    doc: "rows nothing is chosen by: scored at the end, once for each retrained seed",
  }),
  n_trials: option(count(1).optional(), {
    kind: "number",
    group: "search",
    hyphens: true,
    doc: "trials of the search; the baseline gets as many; default: 30, or what the study that is resumed has",
  }),
  timeout: option(positive.optional(), {
    kind: "number",
    group: "search",
    hyphens: true,
    doc: "seconds after which no trial starts: half of them for the search, the rest for the baseline; default: none",
  }),
  n_random_trials: option(count(0).optional(), {
    kind: "number",
    group: "search",
    hyphens: true,
    doc: "trials of the randomised arm (a Latin hypercube sample), which carries the layer analysis; default: 40 % of the trials",
  }),
  sampler: option(z.enum(["tpe", "random"]).default("tpe"), {
    kind: "string",
    group: "search",
    doc: "proposes trials after the randomised arm; tpe takes accuracies within a standard error of the best as equal and follows the cheaper trials",
  }),
  pruner: option(z.enum(["median", "none"]).default("median"), {
    kind: "string",
    group: "search",
    doc: "stops optimised trials that lag; never those of the randomised arm",
  }),
  storage: option(z.string().optional(), {
    kind: "string",
    group: "search",
    hyphens: true,
    doc: "sqlite:///FILE in Optuna's schema; default: study.db in output_dir",
  }),
  study_name: option(z.string().min(1).max(512).default("permafrost"), {
    kind: "string",
    group: "search",
    hyphens: true,
    doc: "name of the study in the storage",
  }),
  resume: option(z.boolean().default(false), {
    kind: "boolean",
    group: "search",
    hyphens: true,
    doc: "go on with the study of that name; while test is unread, with a larger n_trials or another n_seeds too",
  }),
  force: option(z.boolean().default(false), {
    kind: "boolean",
    group: "search",
    hyphens: true,
    doc: "resume although model, data or options changed; more looks at test are counted in the report",
  }),
  lanes: option(count(1).optional(), {
    kind: "number",
    group: "search",
    doc: "trials trained at once; default: threads, or what half of the memory holds. Of the sampler's proposals at most a quarter, or two: they do not see each other's results, so another number of lanes makes other proposals",
  }),
  n_seeds: option(count(1).optional(), {
    kind: "number",
    group: "search",
    hyphens: true,
    doc: "seeds winner and baseline are retrained with; default: 5, or what the study that is resumed has",
  }),
  baseline: option(z.boolean().default(true), {
    kind: "boolean",
    group: "search",
    doc: "tune one rate for the whole encoder, and the head's, with as many trials, and compare",
  }),
  learning_rate_range: option(range.default([1e-6, 1e-3]), {
    kind: "json",
    group: "search",
    doc: "range of the global rate, as JSON: [1e-6,1e-3]",
  }),
  head_learning_rate_range: option(range.default([1e-5, 1e-2]), {
    kind: "json",
    group: "search",
    doc: "range of the head's rate",
  }),
  lr_offset: option(positive.default(1), {
    kind: "number",
    group: "search",
    doc: "range of a layer's own part of the rate, in powers of ten up and down; these are centred, so that their mean is the global rate",
  }),
};

/** Options of `loadModel` and `permafrost predict`. */
export const predictOptions = {
  ...model,
  ...encoding,
  ...machine,
};

export type TrainOptions = InputOf<typeof trainOptions>;
export type SearchOptions = InputOf<typeof searchOptions>;
export type SearchConfig = ConfigOf<typeof searchOptions>;
export type PredictOptions = InputOf<typeof predictOptions>;
