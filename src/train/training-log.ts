/** log_history of trainer_state.json, as Hugging Face's Trainer keeps it (5.18), plus rates per group. */
import type { Evaluation } from "./lane.js";
import type { LayerRates } from "./layer-rates.js";
import type { StepLog } from "./trainer.js";

/** One entry of log_history: a step, an evaluation, or the end. */
export type LogEntry = Readonly<Record<string, number | Readonly<Record<string, number>>>>;

/** What a run came to, by Hugging Face's names; `train_runtime` is with the evaluations in between. */
export interface TrainSummary {
  readonly epoch: number;
  readonly step: number;
  readonly total_flos: number;
  readonly train_loss: number;
  readonly train_runtime: number;
  readonly train_samples_per_second: number;
  readonly train_steps_per_second: number;
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

  /** Of all steps so far: the entries are means over the steps since the one before. */
  meanLoss(): number {
    let [sum, last] = [this.#loss, 0];
    for (const { loss, step } of this.entries) {
      if (typeof loss !== "number" || typeof step !== "number") continue; // an evaluation
      sum += loss * (step - last);
      last = step;
    }
    return sum / (last + this.#steps);
  }

  /** The last entry, as `Trainer.train` logs it when it ends. */
  end(summary: TrainSummary): void {
    this.entries.push({ ...summary });
  }
}
