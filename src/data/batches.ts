/**
 * Which rows form which batch: a pure function of (sampling, rows, batch size, seed, epoch), so training can go on at any
 * step without a saved generator.
 */
import { createHash } from "node:crypto";

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
  const below = randomBelow(options.seed, epoch);
  for (let last = order.length - 1; last > 0; last--) {
    const other = below(last + 1); // Fisher-Yates: every order equally likely
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

/**
 * Uniform integers below n, n ≤ 2³², from xoshiro128** (Blackman and Vigna) seeded with sha256 of (seed, epoch): any two seeds
 * give unrelated streams, and integers alone are used, so every platform gives the same order.
 */
function randomBelow(seed: number, epoch: number): (n: number) => number {
  const digest = createHash("sha256").update(`permafrost batches ${seed} ${epoch}`).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [number, number, number, number];
  const next = () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  };
  return (n) => {
    const limit = 2 ** 32 - (2 ** 32 % n); // beyond it the first remainders would come too often
    let value = next();
    while (value >= limit) value = next();
    return value % n;
  };
}

const rotate = (x: number, by: number) => (x << by) | (x >>> (32 - by));
