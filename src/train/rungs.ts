/**
 * Where a pruner looks, and how closely. On little data validation is often as large as train: scoring all of it three
 * times on the way cost about what pruning saved. A rung scores a sample, so that it costs a small part of a trial.
 */
import { epochOrder } from "../data/batches.js";

/** Of a trial's training: what one rung may cost, where the sample is not the smallest. */
const SHARE = 1 / 50;
const LEAST_ROWS = 64;
/** Forward passes that a training step costs, backward included. */
const PASSES_PER_STEP = 3;

/** Steps completed at each rung: a quarter and a half of them, where there are four epochs or more to the end of an epoch. */
export function rungSteps(totalSteps: number, stepsPerEpoch: number): number[] {
  const unit = totalSteps < 4 * stepsPerEpoch ? 1 : stepsPerEpoch;
  return [4, 2].map((part) => Math.ceil(totalSteps / part / unit) * unit);
}

/**
 * The validation rows a rung scores: a random sample, the same for every trial, so that they are compared on equal rows.
 * As many as cost 2 % of the training in forward passes over tokens, 64 at least; all where they are fewer.
 *
 * @param offsets of the validation rows' tokens, shape (rows + 1).
 * @param trainedTokens of all steps of a trial.
 */
export function rungRows(offsets: Int32Array, trainedTokens: number): Int32Array {
  const rows = offsets.length - 1;
  const order = epochOrder({ rows, batchSize: rows, strategy: "random", seed: 0 }, 0);
  const most = SHARE * PASSES_PER_STEP * trainedTokens;
  let [count, tokens] = [0, 0];
  for (; count < rows; count++) {
    const row = order[count]!;
    tokens += offsets[row + 1]! - offsets[row]!;
    if (tokens > most && count >= LEAST_ROWS) break;
  }
  return order.slice(0, count);
}
