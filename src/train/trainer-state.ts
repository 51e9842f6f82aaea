/** trainer_state.json and the results files, with the keys Hugging Face's Trainer writes (5.18), plus rates per group. */
import path from "node:path";
import { writeJsonAtomic } from "../models/atomic.js";
import type { Evaluation } from "./lane.js";
import type { LayerRates } from "./layer-rates.js";
import type { Totals } from "./totals.js";
import type { StepLog } from "./trainer.js";

/** One entry of log_history: a step or an evaluation. */
export type LogEntry = Readonly<Record<string, number | Readonly<Record<string, number>>>>;

export interface TrainerStateInput {
  readonly rates: LayerRates;
  readonly totalSteps: number;
  readonly step: number;
  readonly epoch: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly loggingSteps: number;
  readonly evalSteps: number;
  readonly saveSteps: number;
  readonly totals: Totals;
  readonly log: readonly LogEntry[];
  readonly best: Evaluation | null;
  readonly metric: "accuracy" | "eval_loss";
  readonly bestCheckpoint: string | null;
}

export interface LogState {
  readonly entries: readonly LogEntry[];
  /** Sum of the losses since the last entry, and how many. */
  readonly loss: number;
  readonly steps: number;
}

/** Collects log_history: a mean over `every` steps as Hugging Face logs it, and every evaluation. */
export class TrainingLog {
  readonly entries: LogEntry[];
  #loss = 0;
  #steps = 0;

  constructor(
    private readonly rates: LayerRates,
    private readonly every: number,
    earlier: LogState = { entries: [], loss: 0, steps: 0 },
  ) {
    this.entries = [...earlier.entries];
    this.#loss = earlier.loss;
    this.#steps = earlier.steps;
  }

  /** For a checkpoint: the entries, and the steps since the last of them. */
  state(): LogState {
    return { entries: [...this.entries], loss: this.#loss, steps: this.#steps };
  }

  step({ step, epoch, loss, gradNorm, factor }: StepLog): void {
    this.#loss += loss;
    this.#steps++;
    if (step % this.every !== 0) return;
    const perLayer = Object.fromEntries(
      Object.entries(this.rates).map(([group, rate]) => [group, rate * factor]),
    );
    this.entries.push({
      epoch,
      grad_norm: gradNorm,
      learning_rate: Math.max(...Object.values(perLayer)),
      learning_rate_per_layer: perLayer,
      loss: this.#loss / this.#steps,
      step,
    });
    this.#loss = 0;
    this.#steps = 0;
  }

  evaluation({ step, epoch, accuracy, loss }: Evaluation): void {
    this.entries.push({ epoch, eval_accuracy: accuracy, eval_loss: loss, step });
  }
}

export function trainerState(input: TrainerStateInput): Record<string, unknown> {
  const { best, metric } = input;
  return {
    best_global_step: best?.step ?? null,
    best_metric: best ? (metric === "accuracy" ? best.accuracy : best.loss) : null,
    best_model_checkpoint: input.bestCheckpoint,
    epoch: input.epoch,
    eval_steps: input.evalSteps,
    global_step: input.step,
    is_hyper_param_search: false,
    is_local_process_zero: true,
    is_world_process_zero: true,
    log_history: input.log,
    logging_steps: input.loggingSteps,
    max_steps: input.totalSteps,
    num_input_tokens_seen: input.totals.tokens,
    num_train_epochs: input.epochs,
    save_steps: input.saveSteps,
    stateful_callbacks: {},
    total_flos: input.totals.flops,
    train_batch_size: input.batchSize,
    trial_name: null,
    trial_params: null,
  };
}

/** train_results.json, eval_results.json, test_results.json and all_results.json, as `Trainer.save_metrics` names them. */
export async function writeResults(
  dir: string,
  results: Readonly<Record<"train" | "eval" | "test", Readonly<Record<string, number>> | null>>,
): Promise<void> {
  const all: Record<string, number> = {};
  for (const [name, values] of Object.entries(results)) {
    if (!values) continue;
    Object.assign(all, values);
    await writeJsonAtomic(path.join(dir, `${name}_results.json`), values);
  }
  await writeJsonAtomic(path.join(dir, "all_results.json"), all);
}
