/** One configuration of a run: how far it is, which evaluation was its best, whether it goes on. */
import type { TensorMap } from "../native/contract.js";
import type { LayerRates } from "./layer-rates.js";
import { better, type Scores } from "./metrics.js";

export interface LaneOptions {
  readonly rates: LayerRates;
  readonly seed: number;
  /** Of the order of rows. @default seed */
  readonly dataSeed?: number | undefined;
  /** @default the task's */
  readonly initial?: TensorMap | undefined;
}

export interface Evaluation extends Scores {
  readonly step: number;
  /** Passes over the training rows so far; fractional. */
  readonly epoch: number;
  readonly best: boolean;
}

/** diverged: a loss or gradient norm was not finite at step `steps` + 1, or the loss on validation after `steps`. */
export type LaneEnd = "completed" | "stopped-early" | "pruned" | "diverged";

export interface StoppingOptions {
  readonly metricForBestModel: "accuracy" | "eval_loss";
  readonly earlyStoppingPatience?: number | undefined;
  readonly earlyStoppingThreshold: number;
}

export class Lane {
  /** "completed" also while it trains. */
  state: LaneEnd = "completed";
  active = true;
  /** Optimizer steps taken. */
  steps = 0;
  seconds = 0;
  tokens = 0;
  readonly #evaluations: Evaluation[] = [];
  #best: Evaluation | null = null;
  #sinceBest = 0;

  constructor(
    readonly options: LaneOptions,
    private readonly stopping: StoppingOptions,
  ) {}

  get evaluations(): readonly Evaluation[] {
    return this.#evaluations;
  }

  get best(): Evaluation | null {
    return this.#best;
  }

  /** Of the order of rows. */
  get dataSeed(): number {
    return this.options.dataSeed ?? this.options.seed;
  }

  /** The best is the first of its value; patience counts evaluations that were not better by the threshold. */
  record(scored: Omit<Evaluation, "best">): Evaluation {
    const { metricForBestModel, earlyStoppingThreshold } = this.stopping;
    const beats = (threshold: number) =>
      this.#best === null || better(scored, this.#best, metricForBestModel, threshold);
    const evaluation = { ...scored, best: beats(0) };
    this.#sinceBest = beats(earlyStoppingThreshold) ? 0 : this.#sinceBest + 1;
    this.#evaluations.push(evaluation);
    if (evaluation.best) this.#best = evaluation;
    return evaluation;
  }

  /** Ends the lane when its patience is spent. */
  stopEarly(): void {
    const { earlyStoppingPatience } = this.stopping;
    if (earlyStoppingPatience !== undefined && this.#sinceBest >= earlyStoppingPatience)
      this.end("stopped-early");
  }

  end(state: LaneEnd): void {
    this.active = false;
    this.state = state;
  }
}
