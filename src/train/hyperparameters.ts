import type { TrainerOptions } from "./trainer.js";

export interface CardOptions extends TrainerOptions {
  readonly seed: number;
  readonly dataSeed?: number | undefined;
  readonly maxLength: number;
}

/** The arguments of a training run by Hugging Face's names, for its model card; rates have a table of their own there. */
export function hyperparametersOf(options: CardOptions): Record<string, string | number | boolean> {
  return {
    seed: options.seed,
    ...(options.dataSeed === undefined ? {} : { data_seed: options.dataSeed }),
    // One of the two is in force.
    ...(options.maxSteps > 0
      ? { max_steps: options.maxSteps }
      : { num_train_epochs: options.numTrainEpochs }),
    per_device_train_batch_size: options.perDeviceTrainBatchSize,
    train_sampling_strategy: options.trainSamplingStrategy,
    max_length: options.maxLength,
    weight_decay: options.weightDecay,
    adam_beta1: options.adamBeta1,
    adam_beta2: options.adamBeta2,
    adam_epsilon: options.adamEpsilon,
    max_grad_norm: options.maxGradNorm,
    warmup_steps: options.warmupSteps,
    lr_scheduler_type: options.lrSchedulerType,
    label_smoothing_factor: options.labelSmoothingFactor,
    metric_for_best_model: options.metricForBestModel,
    load_best_model_at_end: options.loadBestModelAtEnd,
    precision: options.precision,
  };
}
