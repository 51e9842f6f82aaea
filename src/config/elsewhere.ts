/**
 * Names that users bring along from Hugging Face, Optuna and other tools, and that are no option here: what to do instead.
 * They are refused by name, not as unknown ones: silence would pass for consent.
 */
const INSTEAD: Readonly<Record<string, string>> = {
  fp16: "fp16 arithmetic is not offered: use precision bf16 (save_dtype fp16 writes the weights as fp16)",
  tf32: "tf32 is not offered: use precision bf16",
  group_by_length: "not needed: batches are packed, no padding is ever computed",
  gradient_accumulation_steps: "not needed: per_device_train_batch_size is the whole batch of a step",
  save_strategy: "use save_steps of train: checkpoints are written if it is given",
  save_total_limit: "not offered: every checkpoint stays",
  logging_strategy: "use logging_steps of train",
  greater_is_better: "not needed: metric_for_best_model says which way is better",
  report_to: "not offered: trainer_state.json holds the log",
  overwrite_output_dir:
    "not offered: train replaces its own earlier training there; a search needs resume, or another output_dir",
  optim: "not needed: AdamW with bias correction is the only optimizer",
  use_cpu: "not needed: this version computes on the CPU",
  no_cuda: "not needed: this version computes on the CPU",
  device: "not needed: this version computes on the CPU",
  // Of another table than the one that is asked.
  learning_rate: "an option of train; search finds it, within learning_rate_range",
  learning_rate_per_layer: "an option of train; search finds it",
  layer_lr_decay: "an option of train; search finds a rate per layer",
  freeze: "an option of train; search decides what is frozen",
  resume_from_checkpoint: "an option of train; search goes on with resume",
  direction: "not needed: accuracy on validation is maximised",
  directions: "not needed: accuracy on validation is maximised",
};

/** Their name for an option, and ours. */
const RENAMED: Readonly<Record<string, string>> = {
  model_name_or_path: "model",
  train_file: "train",
  validation_file: "validation",
  test_file: "test",
  max_seq_length: "max_length",
  epochs: "num_train_epochs",
  num_epochs: "num_train_epochs",
  batch_size: "per_device_train_batch_size",
  lr: "learning_rate",
  lr_scheduler: "lr_scheduler_type",
  patience: "early_stopping_patience",
  output: "output_dir",
  trials: "n_trials",
  n_startup_trials: "n_random_trials",
  n_jobs: "lanes",
  load_if_exists: "resume",
};

/** @param name in snake case, and no option of `table`. */
export function insteadOf(table: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const renamed = Object.hasOwn(RENAMED, name) ? RENAMED[name]! : name;
  if (renamed !== name && Object.hasOwn(table, renamed)) return `its name here is ${renamed}`;
  return Object.hasOwn(INSTEAD, renamed) ? INSTEAD[renamed] : undefined;
}

export const ELSEWHERE: readonly string[] = [...Object.keys(INSTEAD), ...Object.keys(RENAMED)];
