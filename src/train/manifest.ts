import type { FineTuneConfig } from "./fine-tune.js";
import type { LayerRates } from "./layer-rates.js";
import type { Task } from "./task.js";

/** Options that decide a run's bits, beside the rates; what only says where to write, or how fast, is not among them. */
const DECIDING = [
  "seed",
  "numTrainEpochs",
  "maxSteps",
  "perDeviceTrainBatchSize",
  "weightDecay",
  "adamBeta1",
  "adamBeta2",
  "adamEpsilon",
  "maxGradNorm",
  "warmupSteps",
  "lrSchedulerType",
  "trainSamplingStrategy",
  "labelSmoothingFactor",
  "precision",
  // What is evaluated when decides which weights are the best, and when to stop.
  "evalStrategy",
  "evalSteps",
  "metricForBestModel",
  "loadBestModelAtEnd",
  "earlyStoppingPatience",
  "earlyStoppingThreshold",
] as const satisfies readonly (keyof FineTuneConfig)[];

/** What a checkpoint must share with the run that goes on from it. */
export function manifestOf(task: Task, config: FineTuneConfig, rates: LayerRates): Record<string, unknown> {
  return {
    modelHash: task.folder.hash,
    pooling: task.folder.pooling,
    trainHash: task.splits.train.encoded.hash,
    validationHash: task.splits.validation.encoded.hash,
    rates,
    ...Object.fromEntries(DECIDING.map((key) => [key, config[key]])),
    dataSeed: config.dataSeed ?? config.seed,
  };
}
