/** trainer_state.json and the results files, with the keys Hugging Face's Trainer writes (5.18), plus rates per group. */
import type { Evaluation } from "./lane.js";
import type { Totals } from "./totals.js";
import type { LaneOutcome, Trainer, TrainerOptions } from "./trainer.js";
import type { TrainingLog, TrainSummary } from "./training-log.js";

export type { LogState } from "./training-log.js";

/** What the state says of the options. */
export interface StateOptions
  extends Pick<
    TrainerOptions,
    | "perDeviceTrainBatchSize"
    | "numTrainEpochs"
    | "maxSteps"
    | "evalStrategy"
    | "evalSteps"
    | "saveSteps"
    | "metricForBestModel"
  > {
  readonly loggingSteps: number;
}

/** The run a state is of. */
export type RunShape = Pick<Trainer, "totalSteps" | "stepsPerEpoch" | "rowsIn">;

/** What a lane took so far: `Totals` of a run of one lane, `LaneOutcome` of a lane beside others. */
export type Spent = Pick<Totals, "seconds" | "tokens" | "flops">;

export interface Progress {
  readonly step: number;
  readonly spent: Spent;
  readonly best: Evaluation | null;
  /** The checkpoint with the weights of `best`; null: none. */
  readonly bestCheckpoint?: string | null;
}

export function trainSummary(
  run: RunShape,
  log: TrainingLog,
  { step, spent }: Pick<Progress, "step" | "spent">,
): TrainSummary {
  return {
    epoch: step / run.stepsPerEpoch,
    step,
    total_flos: spent.flops,
    train_loss: log.meanLoss(),
    train_runtime: spent.seconds,
    train_samples_per_second: run.rowsIn(step) / spent.seconds,
    train_steps_per_second: step / spent.seconds,
  };
}

export function trainerState(
  run: RunShape,
  log: TrainingLog,
  options: StateOptions,
  { step, spent, best, bestCheckpoint = null }: Progress,
): Record<string, unknown> {
  const { metricForBestModel, maxSteps, numTrainEpochs } = options;
  return {
    best_global_step: best?.step ?? null,
    best_metric: best ? (metricForBestModel === "accuracy" ? best.accuracy : best.loss) : null,
    best_model_checkpoint: bestCheckpoint,
    epoch: step / run.stepsPerEpoch,
    eval_steps: options.evalStrategy === "steps" ? options.evalSteps : run.stepsPerEpoch,
    global_step: step,
    is_hyper_param_search: false,
    is_local_process_zero: true,
    is_world_process_zero: true,
    log_history: log.entries,
    logging_steps: options.loggingSteps,
    max_steps: run.totalSteps,
    num_input_tokens_seen: spent.tokens,
    // The epochs that are begun, as Hugging Face counts them.
    num_train_epochs: Math.ceil(maxSteps > 0 ? maxSteps / run.stepsPerEpoch : numTrainEpochs),
    save_steps: options.saveSteps ?? 0,
    stateful_callbacks: {},
    total_flos: spent.flops,
    train_batch_size: options.perDeviceTrainBatchSize,
    trial_name: null,
    trial_params: null,
  };
}

/** The state of a lane that has ended, its log closed: what `saveTrained` takes where no checkpoints are written. */
export function endState(
  run: RunShape,
  log: TrainingLog,
  options: StateOptions,
  outcome: LaneOutcome,
): Record<string, unknown> {
  const { steps: step, best } = outcome;
  log.end(trainSummary(run, log, { step, spent: outcome }));
  return trainerState(run, log, options, { step, spent: outcome, best });
}

export type Results = Readonly<Record<"train" | "eval" | "test", Readonly<Record<string, number>> | null>>;

/**
 * train_results.json, eval_results.json, test_results.json and all_results.json by name, as `Trainer.save_metrics` names them;
 * null for a file that there is nothing for.
 */
export function resultsFiles(results?: Results): Record<string, Readonly<Record<string, number>> | null> {
  const { train = null, eval: validation = null, test = null } = results ?? {};
  return {
    "train_results.json": train,
    "eval_results.json": validation,
    "test_results.json": test,
    "all_results.json": results ? { ...train, ...validation, ...test } : null,
  };
}
