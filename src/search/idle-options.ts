/** Options of a search that change nothing beside the others: a sentence each. */

import type { SearchConfig } from "../config/schema.js";
import { numSteps } from "../data/batches.js";
import { rungSteps } from "../train/rungs.js";

/** @param rows of the training set. */
export function idleOptions(config: SearchConfig, rows: number): string[] {
  const { evalStrategy, evalSteps, pruner, metricForBestModel } = config;
  const steps = numSteps(rows, config.perDeviceTrainBatchSize, config.numTrainEpochs, config.maxSteps);
  const notices: string[] = [];
  const neverScored =
    evalStrategy === "no" ||
    (evalStrategy === "steps" && evalSteps >= steps) ||
    (evalStrategy === "epoch" &&
      rungSteps(steps, Math.ceil(rows / config.perDeviceTrainBatchSize))[0]! >= steps);
  if (pruner !== "none" && neverScored)
    notices.push(
      `pruner: ${pruner} stops no trial, as none is scored before its end (eval_strategy ${evalStrategy}, ${steps} steps)`,
    );
  const decides = config.loadBestModelAtEnd || config.earlyStoppingPatience !== undefined;
  if (metricForBestModel !== "accuracy" && !decides)
    notices.push(
      `metric_for_best_model: ${metricForBestModel} decides nothing without load_best_model_at_end or early_stopping_patience: trials are chosen by accuracy`,
    );
  return notices;
}
