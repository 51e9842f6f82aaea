/**
 * Arguments of Hugging Face's TrainingArguments that users bring along and that are no option here: what to do instead.
 * They are refused by name, not as unknown ones: silence would pass for consent.
 */
const INSTEAD: Readonly<Record<string, string>> = {
  fp16: "fp16 arithmetic is not offered: use precision bf16 (save_dtype fp16 writes the weights as fp16)",
  tf32: "tf32 is not offered: use precision bf16",
  group_by_length: "not needed: batches are packed, no padding is ever computed",
  gradient_accumulation_steps: "not needed: per_device_train_batch_size is the whole batch of a step",
  save_strategy: "use save_steps: checkpoints are written if it is given",
  save_total_limit: "not offered: every checkpoint stays",
  logging_strategy: "use logging_steps",
  greater_is_better: "not needed: metric_for_best_model says which way is better",
  report_to: "not offered: trainer_state.json holds the log",
  overwrite_output_dir: "not needed: files in output_dir are replaced whole",
  optim: "not needed: AdamW with bias correction is the only optimizer",
  use_cpu: "not needed: this version computes on the CPU",
};

/** @param name in snake case. */
export const insteadOf = (name: string): string | undefined =>
  Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;

export const ELSEWHERE: readonly string[] = Object.keys(INSTEAD);
