/**
 * Which rows form which batch: a pure function of (sampling, rows, batch size, seed, epoch), so training can go on at any
 * step without a saved generator.
 */
import { createHash } from "node:crypto";
import { Xoshiro } from "../random/xoshiro.js";

/** `train_sampling_strategy`: a new order each epoch, or the order of the file. */
export type SamplingStrategy = "random" | "sequential";

export interface BatchOptions {
  /** Rows of the dataset, ≥ 1. */
  readonly rows: number;
  /** `per_device_train_batch_size`, ≥ 1. The last batch of an epoch may be smaller; no row is dropped. */
  readonly batchSize: number;
  readonly strategy: SamplingStrategy;
  readonly seed: number;
}

/** Steps of one epoch. */
export function stepsPerEpoch(rows: number, batchSize: number): number {
  return Math.ceil(rows / batchSize);
}

/**
 * Steps of a whole run, as Hugging Face's Trainer counts them.
 *
 * @param epochs   > 0; may be a fraction, rounded up to a whole step.
 * @param maxSteps > 0 wins over epochs; ≤ 0 is "not given".
 */
export function numSteps(rows: number, batchSize: number, epochs: number, maxSteps = -1): number {
  return maxSteps > 0 ? Math.floor(maxSteps) : Math.ceil(epochs * stepsPerEpoch(rows, batchSize));
}

/** Row order of one epoch (counted from 0), shape (rows): each row once. */
export function epochOrder(options: BatchOptions, epoch: number): Int32Array {
  const order = Int32Array.from({ length: options.rows }, (_, i) => i);
  if (options.strategy === "sequential") return order;
  const random = generator(options.seed, epoch);
  for (let last = order.length - 1; last > 0; last--) {
    const other = random.below(last + 1); // Fisher-Yates: every order equally likely
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

/** Batches of the steps [from, to) of a run; the order of an epoch is made once. */
export function* batches(options: BatchOptions, from: number, to: number): Generator<Int32Array> {
  const perEpoch = stepsPerEpoch(options.rows, options.batchSize);
  let epoch = -1;
  let order = new Int32Array(0);
  for (let step = from; step < to; step++) {
    const wanted = Math.floor(step / perEpoch);
    if (wanted !== epoch) [epoch, order] = [wanted, epochOrder(options, wanted) as Int32Array<ArrayBuffer>];
    const first = (step % perEpoch) * options.batchSize;
    yield order.slice(first, first + options.batchSize);
  }
}

/** Seeded with sha256 of (seed, epoch): any two seeds give unrelated streams, and every platform gives the same order. */
function generator(seed: number, epoch: number): Xoshiro {
  const digest = createHash("sha256").update(`permafrost batches ${seed} ${epoch}`).digest();
  return new Xoshiro([0, 4, 8, 12].map((at) => digest.readInt32LE(at)));
}
