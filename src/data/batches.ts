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

/** The order of the present epoch, by seed: with a million rows it takes a tenth of a second to make. */
export class EpochOrders {
  readonly #last = new Map<number, { readonly epoch: number; readonly order: Int32Array }>();

  /** @param options of one dataset, the seed apart. */
  of(options: BatchOptions, epoch: number): Int32Array {
    const last = this.#last.get(options.seed);
    if (last?.epoch === epoch) return last.order;
    const order = epochOrder(options, epoch);
    this.#last.set(options.seed, { epoch, order });
    return order;
  }
}

/** Batches of the steps [from, to) of a run. */
export function* batches(
  options: BatchOptions,
  from: number,
  to: number,
  orders = new EpochOrders(),
): Generator<Int32Array> {
  const perEpoch = stepsPerEpoch(options.rows, options.batchSize);
  for (let step = from; step < to; step++) {
    const first = (step % perEpoch) * options.batchSize;
    yield orders.of(options, Math.floor(step / perEpoch)).slice(first, first + options.batchSize);
  }
}

/** Seeded with sha256 of (seed, epoch): any two seeds give unrelated streams, and every platform gives the same order. */
function generator(seed: number, epoch: number): Xoshiro {
  const digest = createHash("sha256").update(`permafrost batches ${seed} ${epoch}`).digest();
  return new Xoshiro([0, 4, 8, 12].map((at) => digest.readInt32LE(at)));
}
