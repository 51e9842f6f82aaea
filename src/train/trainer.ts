/**
 * Trains K configurations together, as the lanes of one session. The loop, the pace, the evaluations and every decision
 * are here; the arithmetic is the core's. Each lane ends as it would alone: lanes share time, never values.
 */
import { type BatchOptions, batches, EpochOrders, numSteps, stepsPerEpoch } from "../data/batches.js";
import type { LaneSpec } from "../native/contract.js";
import type { NativeSession } from "../native/session.js";
import { type Evaluation, Lane, type LaneEnd, type LaneOptions, type StoppingOptions } from "./lane.js";
import { type LaneCost, laneCost } from "./lane-cost.js";
import { correctRows, type Scores, scores } from "./metrics.js";
import { rungRows, rungSteps } from "./rungs.js";
import { type ScheduleName, scheduleFactor, warmupSteps } from "./schedules.js";
import type { Split, Task } from "./task.js";
import { addChunk, NO_TOTALS, type Totals } from "./totals.js";

/** What is the same for all lanes of a run. Field meanings and ranges: config/schema.ts. */
export interface TrainerOptions extends StoppingOptions {
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
  /** "rungs": a sample of the validation rows, where a pruner looks (rungs.ts). All strategies: every row, at the end. */
  readonly evalStrategy: "epoch" | "steps" | "rungs" | "no";
  readonly evalSteps: number;
  readonly loadBestModelAtEnd: boolean;
  readonly precision: "fp32" | "bf16";
  readonly cache: "auto" | "off";
  /** The task is trained once, by one lane: it needs no copy of its weights. @default false */
  readonly inPlace?: boolean;
  /** Chunks end at multiples of this, so that `onChunk` is called there. @default anywhere */
  readonly saveSteps?: number | undefined;
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
  /** After every chunk, with the steps so far: the place to save checkpoints. */
  onChunk?(step: number): Promise<void>;
}

export interface LaneOutcome {
  readonly state: LaneEnd;
  /** Optimizer steps taken. */
  readonly steps: number;
  readonly evaluations: readonly Evaluation[];
  readonly best: Evaluation | null;
  /** Of the weights the lane ends with: the last, or with `loadBestModelAtEnd` the best. Null when it diverged. */
  readonly final: Evaluation | null;
  /** Wall seconds, those of a chunk shared by its lanes as their FLOPs are: threads help with each other's lanes. */
  readonly seconds: number;
  /** Of its batches, special tokens included. */
  readonly tokens: number;
  /** Of training, as `LaneCost` has it: the same whatever ran beside it and was cached. */
  readonly flops: number;
  readonly trainedParameters: number;
}

const CHUNK_MS = 200; // a slice of native work: long enough to cost nothing, short enough to stop and to show progress

/** A session with its lanes; make with `Trainer.open`, dispose when done. */
export class Trainer implements AsyncDisposable {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly #warm: number;
  readonly #rungs: readonly number[];
  readonly #lanes: readonly Lane[];
  readonly #costs: readonly LaneCost[];
  readonly #orders = new EpochOrders();
  #step = 0;
  #totals = NO_TOTALS;

  private constructor(
    private readonly task: Task,
    private readonly options: TrainerOptions,
    lanes: readonly LaneOptions[],
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
    this.#rungs = rungSteps(this.totalSteps, this.stepsPerEpoch);
    this.#lanes = lanes.map((lane) => new Lane(lane, options));
    const lengths = lengthsOf(task.splits.train.encoded.offsets);
    const how = { stepsPerEpoch: this.stepsPerEpoch, cache: options.cache };
    this.#costs = lanes.map((_, lane) => laneCost(session, lane, lengths, how));
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
      inPlace: options.inPlace ?? false,
    });
    try {
      return new Trainer(task, options, lanes, session);
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  /** Steps taken by the lanes that are still active. */
  get step(): number {
    return this.#step;
  }

  /** Of all lanes so far. */
  get totals(): Totals {
    return this.#totals;
  }

  /** Goes on from a saved state: one blob a lane (`session.saveState`), and what the trainer knew beside it. */
  async resume(
    step: number,
    states: readonly Uint8Array[],
    evaluations: readonly (readonly Evaluation[])[],
    totals: Totals,
  ): Promise<void> {
    for (const [lane, state] of states.entries()) await this.session.loadState(lane, state);
    this.#step = step;
    this.#totals = totals;
    for (const [i, lane] of this.#lanes.entries()) {
      lane.steps = step;
      for (const evaluation of evaluations[i] ?? []) lane.record(evaluation);
      if (step < this.totalSteps) lane.stopEarly();
    }
  }

  /** Training rows of the first `steps` steps; the last batch of an epoch may be a smaller one. */
  rowsIn(steps: number): number {
    const [rows, batch] = [
      this.task.splits.train.encoded.labels.length,
      this.options.perDeviceTrainBatchSize,
    ];
    return Math.floor(steps / this.stepsPerEpoch) * rows + (steps % this.stepsPerEpoch) * batch;
  }

  /** Evaluations of a lane so far. */
  evaluations(lane: number): readonly Evaluation[] {
    return this.#lanes[lane]!.evaluations;
  }

  /** Parameters of a lane that receive updates. */
  trainedParameters(lane: number): number {
    return this.#costs[lane]!.trainedParameters;
  }

  /** Trains every lane to its end. */
  async run(hooks: TrainerHooks, signal?: AbortSignal): Promise<LaneOutcome[]> {
    let perChunk = 4;
    while (this.#step < this.totalSteps && this.#lanes.some((lane) => lane.active)) {
      signal?.throwIfAborted();
      const evaluation = Math.min(this.#nextEvaluation(), this.totalSteps);
      const steps = Math.min(perChunk, this.#untilStop(evaluation));
      const seconds = await this.#runChunk(steps, hooks, signal);
      perChunk = Math.max(1, Math.min(64, Math.round((steps * CHUNK_MS) / Math.max(1, seconds * 1e3))));
      if (this.#step === evaluation) await this.#evaluateAll(hooks, signal);
      await hooks.onChunk?.(this.#step);
    }
    if (this.options.loadBestModelAtEnd) await this.#restoreBest();
    return this.#lanes.map((_, i) => this.#outcome(i));
  }

  /** Scores a lane's present weights on a split, or on some rows of it. `correct`: of those, in their order. */
  async score(
    lane: number,
    split: Split,
    signal?: AbortSignal,
    rows?: Int32Array,
  ): Promise<Scores & { correct: boolean[] }> {
    const request = { lane, dataset: split.index, ...(rows ? { rows } : {}) };
    const { logits, loss } = await this.session.evaluate(request, signal);
    const labels = rows ? rows.map((row) => split.encoded.labels[row]!) : split.encoded.labels;
    const classes = this.task.labels.names.length;
    return { ...scores(logits, loss, labels, classes), correct: correctRows(logits, labels, classes) };
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #batchOptions({ dataSeed }: Lane): BatchOptions {
    return {
      rows: this.task.splits.train.encoded.labels.length,
      batchSize: this.options.perDeviceTrainBatchSize,
      strategy: this.options.trainSamplingStrategy,
      seed: dataSeed,
    };
  }

  async #runChunk(steps: number, hooks: TrainerHooks, signal?: AbortSignal): Promise<number> {
    const active = this.#lanes.flatMap((lane, i) => (lane.active ? [i] : []));
    const seeds = new Set(active.map((i) => this.#lanes[i]!.dataSeed));
    const lists = (seeds.size === 1 ? active.slice(0, 1) : active).map((i) => [
      ...batches(this.#batchOptions(this.#lanes[i]!), this.#step, this.#step + steps, this.#orders),
    ]);
    const factors = Array.from({ length: steps }, (_, s) =>
      scheduleFactor(this.options.lrSchedulerType, this.#step + s, this.totalSteps, this.#warm),
    );
    const rates = active.flatMap((i) =>
      factors.flatMap((factor) =>
        this.task.groups.map((group) => this.#lanes[i]!.options.rates[group]! * factor),
      ),
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
    const work = active.map((i, k) => {
      const taken = results.completed[k]! + (results.diverged[k]! >= 0 ? 1 : 0);
      return this.#costs[i]!.work(this.#step, this.#step + taken);
    });
    const allWork = work.reduce((sum, flops) => sum + flops, 0);
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
      lane.tokens += tokensIn(
        lists[lists.length === 1 ? 0 : k]!.slice(0, completed),
        this.task.splits.train.encoded.offsets,
      );
      lane.seconds += results.seconds * (allWork > 0 ? work[k]! / allWork : 1 / active.length);
      if (results.diverged[k]! >= 0) lane.end("diverged");
    }
    this.#step += steps;
    this.#totals = addChunk(this.#totals, results);
    return results.seconds;
  }

  /** Steps to the next evaluation, which is at the end at the latest, or checkpoint. */
  #untilStop(evaluation: number): number {
    const { saveSteps } = this.options;
    const stop = saveSteps === undefined ? evaluation : Math.min(evaluation, next(this.#step, saveSteps));
    return stop - this.#step;
  }

  /** The first step after this one that is scored, the last one left out. */
  #nextEvaluation(): number {
    switch (this.options.evalStrategy) {
      case "no":
        return this.totalSteps;
      case "epoch":
        return next(this.#step, this.stepsPerEpoch);
      case "steps":
        return next(this.#step, this.options.evalSteps);
      case "rungs":
        return this.#rungs.find((step) => step > this.#step) ?? this.totalSteps;
    }
  }

  #rungRows(): Int32Array {
    const { train, validation } = this.task.splits;
    const trainedTokens = train.encoded.ids.length * (this.totalSteps / this.stepsPerEpoch);
    return rungRows(validation.encoded.offsets, trainedTokens);
  }

  async #evaluateAll(hooks: TrainerHooks, signal?: AbortSignal): Promise<void> {
    const atRung = this.options.evalStrategy === "rungs" && this.#step < this.totalSteps;
    const rows = atRung ? this.#rungRows() : undefined;
    for (const [i, lane] of this.#lanes.entries()) {
      if (!lane.active) continue;
      const begin = performance.now();
      const { accuracy, loss } = await this.score(i, this.task.splits.validation, signal, rows);
      const seconds = (performance.now() - begin) / 1e3;
      lane.seconds += seconds;
      this.#totals = { ...this.#totals, seconds: this.#totals.seconds + seconds };
      if (!Number.isFinite(loss)) {
        lane.end("diverged");
        continue;
      }
      const evaluation = lane.record({
        step: this.#step,
        epoch: this.#step / this.stepsPerEpoch,
        accuracy,
        loss,
      });
      // The last evaluation needs no copy when it is the best: the weights are there.
      if (evaluation.best && this.options.loadBestModelAtEnd && this.#step < this.totalSteps)
        await this.session.snapshot(i);
      const decision = await hooks.onEvaluation?.(i, evaluation);
      if (decision === "prune") lane.end("pruned");
      else if (this.#step < this.totalSteps) lane.stopEarly();
    }
  }

  async #restoreBest(): Promise<void> {
    for (const [i, lane] of this.#lanes.entries()) {
      const final = this.#final(lane);
      if (final && final.step < lane.steps) await this.session.restore(i);
    }
  }

  #final({ state, best, evaluations }: Lane): Evaluation | null {
    if (state === "diverged") return null;
    return this.options.loadBestModelAtEnd ? best : (evaluations.at(-1) ?? null);
  }

  #outcome(i: number): LaneOutcome {
    const lane = this.#lanes[i]!;
    const { flops, trainedParameters } = this.#costs[i]!;
    return {
      state: lane.state,
      steps: lane.steps,
      evaluations: lane.evaluations,
      best: lane.best,
      final: this.#final(lane),
      seconds: lane.seconds,
      tokens: lane.tokens,
      flops: flops(lane.steps),
      trainedParameters,
    };
  }
}

/** The first multiple of `every` after `step`. */
const next = (step: number, every: number) => step - (step % every) + every;

const lengthsOf = (offsets: Int32Array) =>
  Int32Array.from({ length: offsets.length - 1 }, (_, i) => offsets[i + 1]! - offsets[i]!);

function tokensIn(batches: readonly Int32Array[], offsets: Int32Array): number {
  let tokens = 0;
  for (const batch of batches) for (const row of batch) tokens += offsets[row + 1]! - offsets[row]!;
  return tokens;
}

function offsetsOf(list: readonly Int32Array[]): Int32Array {
  const offsets = new Int32Array(list.length + 1);
  for (const [i, batch] of list.entries()) offsets[i + 1] = offsets[i]! + batch.length;
  return offsets;
}
