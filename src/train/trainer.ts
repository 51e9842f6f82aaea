/**
 * Trains K configurations together, as the lanes of one session. The loop, the pace, the evaluations and every decision
 * are here; the arithmetic is the core's. Each lane ends as it would alone: lanes share time, never values.
 */
import { type BatchOptions, batches, numSteps, stepsPerEpoch } from "../data/batches.js";
import type { LaneSpec, TensorMap } from "../native/contract.js";
import type { NativeSession } from "../native/session.js";
import type { LayerRates } from "./layer-rates.js";
import { better, correctRows, type Scores, scores } from "./metrics.js";
import { type ScheduleName, scheduleFactor, warmupSteps } from "./schedules.js";
import type { Split, Task } from "./task.js";

/** What is the same for all lanes of a run. Field meanings and ranges: config/schema.ts. */
export interface TrainerOptions {
  readonly numTrainEpochs: number;
  readonly maxSteps: number;
  readonly perDeviceTrainBatchSize: number;
  readonly trainSamplingStrategy: "random" | "sequential";
  readonly weightDecay: number;
  readonly adamBeta1: number;
  readonly adamBeta2: number;
  readonly adamEpsilon: number;
  readonly maxGradNorm: number;
  readonly warmupSteps: number;
  readonly lrSchedulerType: ScheduleName;
  readonly labelSmoothingFactor: number;
  readonly evalStrategy: "epoch" | "steps" | "no";
  readonly evalSteps: number;
  readonly metricForBestModel: "accuracy" | "eval_loss";
  readonly loadBestModelAtEnd: boolean;
  readonly earlyStoppingPatience?: number | undefined;
  readonly earlyStoppingThreshold: number;
  readonly precision: "fp32" | "bf16";
  readonly cache: "auto" | "off";
}

/** One configuration. */
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

export interface StepLog {
  /** Steps completed, from 1. */
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  readonly gradNorm: number;
  /** Factor of the peak rates at this step. */
  readonly factor: number;
}

/** Called as lanes proceed. Throwing ends the run. */
export interface TrainerHooks {
  onStep?(lane: number, log: StepLog): void;
  /** Return "prune" to end the lane. */
  onEvaluation?(lane: number, evaluation: Evaluation): "prune" | undefined | Promise<"prune" | undefined>;
  /** After every chunk, with each lane's steps: the place to save checkpoints. */
  onChunk?(step: number): Promise<void>;
}

export interface LaneOutcome {
  /** diverged: a loss or gradient norm was not finite at step `steps` + 1. */
  readonly state: "completed" | "stopped-early" | "pruned" | "diverged";
  /** Optimizer steps taken. */
  readonly steps: number;
  readonly evaluations: readonly Evaluation[];
  readonly best: Evaluation | null;
  /** Wall seconds, those of a chunk shared equally by the lanes that ran in it. */
  readonly seconds: number;
  /** Of training, by the plan's formula; without the frozen prefix when the cache is on. */
  readonly flops: number;
  readonly trainedParameters: number;
  readonly tokens: number;
}

const CHUNK_MS = 200; // a slice of native work: long enough to cost nothing, short enough to stop and to show progress

interface LaneState {
  active: boolean;
  state: LaneOutcome["state"];
  steps: number;
  seconds: number;
  tokens: number;
  evaluations: Evaluation[];
  best: Evaluation | null;
  sinceBest: number;
}

/** A session with its lanes; make with `Trainer.open`, dispose when done. */
export class Trainer implements AsyncDisposable {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly #warm: number;
  readonly #lanes: LaneState[];
  #step = 0;

  private constructor(
    private readonly task: Task,
    private readonly options: TrainerOptions,
    private readonly lanes: readonly LaneOptions[],
    readonly session: NativeSession,
  ) {
    const rows = task.splits.train.encoded.labels.length;
    this.stepsPerEpoch = stepsPerEpoch(rows, options.perDeviceTrainBatchSize);
    this.totalSteps = numSteps(
      rows,
      options.perDeviceTrainBatchSize,
      options.numTrainEpochs,
      options.maxSteps,
    );
    this.#warm = warmupSteps(options.warmupSteps, this.totalSteps);
    this.#lanes = lanes.map(() => ({
      active: true,
      state: "completed",
      steps: 0,
      seconds: 0,
      tokens: 0,
      evaluations: [],
      best: null,
      sinceBest: 0,
    }));
  }

  static async open(task: Task, options: TrainerOptions, lanes: readonly LaneOptions[]): Promise<Trainer> {
    const specs = lanes.map(
      ({ rates, seed, initial }): LaneSpec => ({
        trainable: task.groups.map((group) => rates[group]! > 0),
        seed,
        beta1: options.adamBeta1,
        beta2: options.adamBeta2,
        epsilon: options.adamEpsilon,
        weightDecay: options.weightDecay,
        maxGradNorm: options.maxGradNorm,
        labelSmoothing: options.labelSmoothingFactor,
        dropout: true,
        // A frozen head keeps the task's values.
        ...(initial && rates.head! > 0 ? { initial } : {}),
      }),
    );
    const session = await task.native.createSession(specs, {
      precision: options.precision,
      cache: options.cache,
    });
    return new Trainer(task, options, lanes, session);
  }

  /** Steps taken by the lanes that are still active. */
  get step(): number {
    return this.#step;
  }

  /** Goes on from a saved state: one blob a lane (`session.saveState`), and what the trainer knew beside it. */
  async resume(
    step: number,
    states: readonly Uint8Array[],
    evaluations: readonly (readonly Evaluation[])[],
  ): Promise<void> {
    for (const [lane, state] of states.entries()) await this.session.loadState(lane, state);
    this.#step = step;
    for (const [i, lane] of this.#lanes.entries()) {
      lane.steps = step;
      for (const evaluation of evaluations[i] ?? []) this.#record(lane, evaluation);
    }
  }

  /** Evaluations of a lane so far. */
  evaluations(lane: number): readonly Evaluation[] {
    return this.#lanes[lane]!.evaluations;
  }

  /** Parameters of a lane that receive updates. */
  trainedParameters(lane: number): number {
    return this.session.describePlan({ lane, lengths: Int32Array.of(1), cached: false }).trainedParameters;
  }

  /** Trains every lane to its end. */
  async run(hooks: TrainerHooks, signal?: AbortSignal): Promise<LaneOutcome[]> {
    let perChunk = 4;
    while (this.#step < this.totalSteps && this.#lanes.some((lane) => lane.active)) {
      signal?.throwIfAborted();
      const steps = Math.min(perChunk, this.#untilEvaluation());
      const seconds = await this.#runChunk(steps, hooks, signal);
      perChunk = Math.max(1, Math.min(64, Math.round((steps * CHUNK_MS) / Math.max(1, seconds * 1e3))));
      if (this.#evaluatesNow()) await this.#evaluateAll(hooks, signal);
      await hooks.onChunk?.(this.#step);
    }
    if (this.options.loadBestModelAtEnd) await this.#restoreBest();
    return this.#lanes.map((_, i) => this.#outcome(i));
  }

  /** Scores a lane's present weights on a split. */
  async score(lane: number, split: Split, signal?: AbortSignal): Promise<Scores & { correct: boolean[] }> {
    const { logits, loss } = await this.session.evaluate({ lane, dataset: split.index }, signal);
    const { labels } = split.encoded;
    const classes = this.task.labels.names.length;
    return { ...scores(logits, loss, labels, classes), correct: correctRows(logits, labels, classes) };
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #batchOptions(lane: number): BatchOptions {
    const { seed, dataSeed = seed } = this.lanes[lane]!;
    return {
      rows: this.task.splits.train.encoded.labels.length,
      batchSize: this.options.perDeviceTrainBatchSize,
      strategy: this.options.trainSamplingStrategy,
      seed: dataSeed,
    };
  }

  async #runChunk(steps: number, hooks: TrainerHooks, signal?: AbortSignal): Promise<number> {
    const active = this.#lanes.flatMap((lane, i) => (lane.active ? [i] : []));
    const seeds = new Set(active.map((i) => this.#batchOptions(i).seed));
    const lists = (seeds.size === 1 ? active.slice(0, 1) : active).map((i) => [
      ...batches(this.#batchOptions(i), this.#step, this.#step + steps),
    ]);
    const factors = Array.from({ length: steps }, (_, s) =>
      scheduleFactor(this.options.lrSchedulerType, this.#step + s, this.totalSteps, this.#warm),
    );
    const rates = active.flatMap((i) =>
      factors.flatMap((factor) => this.task.groups.map((group) => this.lanes[i]!.rates[group]! * factor)),
    );
    const results = await this.session.runSteps(
      {
        dataset: this.task.splits.train.index,
        rows: lists.map((list) => Int32Array.from(list.flatMap((batch) => [...batch]))),
        offsets: lists.map(offsetsOf),
        lanes: Int32Array.from(active),
        learningRates: Float64Array.from(rates),
      },
      signal,
    );
    for (const [k, i] of active.entries()) {
      const lane = this.#lanes[i]!;
      const completed = results.completed[k]!;
      for (let s = 0; s < completed; s++) {
        hooks.onStep?.(i, {
          step: this.#step + s + 1,
          epoch: (this.#step + s + 1) / this.stepsPerEpoch,
          loss: results.loss[k * steps + s]!,
          gradNorm: results.gradNorm[k * steps + s]!,
          factor: factors[s]!,
        });
      }
      lane.steps += completed;
      lane.seconds += results.seconds / active.length;
      if (results.diverged[k]! >= 0) {
        lane.active = false;
        lane.state = "diverged";
      }
    }
    this.#step += steps;
    return results.seconds;
  }

  #untilEvaluation(): number {
    const left = this.totalSteps - this.#step;
    const every = this.#evaluationInterval();
    return every === null ? left : Math.min(left, every - (this.#step % every));
  }

  #evaluationInterval(): number | null {
    if (this.options.evalStrategy === "no") return null;
    return this.options.evalStrategy === "epoch" ? this.stepsPerEpoch : this.options.evalSteps;
  }

  #evaluatesNow(): boolean {
    const every = this.#evaluationInterval();
    return this.#step === this.totalSteps || (every !== null && this.#step % every === 0);
  }

  async #evaluateAll(hooks: TrainerHooks, signal?: AbortSignal): Promise<void> {
    for (const [i, lane] of this.#lanes.entries()) {
      if (!lane.active) continue;
      const begin = performance.now();
      const { accuracy, loss } = await this.score(i, this.task.splits.validation, signal);
      lane.seconds += (performance.now() - begin) / 1e3;
      const evaluation = this.#record(lane, {
        step: this.#step,
        epoch: this.#step / this.stepsPerEpoch,
        accuracy,
        loss,
      });
      // The last evaluation needs no copy when it is the best: the weights are there.
      if (evaluation.best && this.options.loadBestModelAtEnd && this.#step < this.totalSteps)
        await this.session.snapshot(i);
      const decision = await hooks.onEvaluation?.(i, evaluation);
      const patience = this.options.earlyStoppingPatience;
      if (decision === "prune") {
        lane.active = false;
        lane.state = "pruned";
      } else if (patience !== undefined && lane.sinceBest >= patience && this.#step < this.totalSteps) {
        lane.active = false;
        lane.state = "stopped-early";
      }
    }
  }

  #record(lane: LaneState, scored: Omit<Evaluation, "best">): Evaluation {
    const { metricForBestModel, earlyStoppingThreshold } = this.options;
    const best = lane.best === null || better(scored, lane.best, metricForBestModel, 0);
    const improved =
      lane.best === null || better(scored, lane.best, metricForBestModel, earlyStoppingThreshold);
    const evaluation = { ...scored, best };
    lane.evaluations.push(evaluation);
    lane.sinceBest = improved ? 0 : lane.sinceBest + 1;
    if (best) lane.best = evaluation;
    return evaluation;
  }

  async #restoreBest(): Promise<void> {
    for (const [i, lane] of this.#lanes.entries()) {
      const usable = lane.state === "completed" || lane.state === "stopped-early";
      if (usable && lane.best && lane.best.step < lane.steps) await this.session.restore(i);
    }
  }

  #outcome(i: number): LaneOutcome {
    const lane = this.#lanes[i]!;
    const { lengths, tokens } = this.#trainLengths();
    const plan = this.session.describePlan({ lane: i, lengths, cached: this.options.cache === "auto" });
    // FLOPs are linear in tokens, rows and squared lengths, so an epoch costs what its rows cost as one batch.
    const epochs = lane.steps / this.stepsPerEpoch;
    return {
      state: lane.state,
      steps: lane.steps,
      evaluations: lane.evaluations,
      best: lane.best,
      seconds: lane.seconds,
      flops: plan.flops * epochs,
      trainedParameters: plan.trainedParameters,
      tokens: tokens * epochs,
    };
  }

  #trainLengths(): { lengths: Int32Array; tokens: number } {
    const { offsets } = this.task.splits.train.encoded;
    const lengths = Int32Array.from({ length: offsets.length - 1 }, (_, i) => offsets[i + 1]! - offsets[i]!);
    return { lengths, tokens: offsets.at(-1)! };
  }
}

function offsetsOf(list: readonly Int32Array[]): Int32Array {
  const offsets = new Int32Array(list.length + 1);
  for (const [i, batch] of list.entries()) offsets[i + 1] = offsets[i]! + batch.length;
  return offsets;
}
