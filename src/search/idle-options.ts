/** Options of a search that change nothing beside the others: a sentence each. */
import type { SearchConfig } from "../config/schema.js";
import { numSteps, stepsPerEpoch } from "../data/batches.js";
import { rungSteps } from "../train/rungs.js";
import { evaluationsOf } from "./arm-search.js";

/** @param rows of the training set. */
export function idleOptions(config: SearchConfig, rows: number): string[] {
  const { pruner, metricForBestModel, perDeviceTrainBatchSize: batch } = config;
  const notices: string[] = [];
  const steps = numSteps(rows, batch, config.numTrainEpochs, config.maxSteps);
  const perEpoch = stepsPerEpoch(rows, batch);
  // Of a trial's evaluations, the one at its end apart.
  const first = {
    no: steps,
    epoch: perEpoch,
    steps: config.evalSteps,
    rungs: rungSteps(steps, perEpoch)[0]!,
  }[evaluationsOf(config)];
  if (pruner !== "none" && first >= steps)
    notices.push(`pruner: ${pruner} stops no trial, as none of ${steps} steps is scored before its end`);
  const decides = config.loadBestModelAtEnd || config.earlyStoppingPatience !== undefined;
  if (metricForBestModel !== "accuracy" && !decides)
    notices.push(
      `metric_for_best_model: ${metricForBestModel} decides nothing without load_best_model_at_end or early_stopping_patience: trials are chosen by accuracy`,
    );
  return notices;
}
