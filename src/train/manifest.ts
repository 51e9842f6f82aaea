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

/** An option's name as users write it: `weightDecay` → `weight_decay`. */
export const asWritten = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The model as it is trained: what config.json says of dropout, heads and padding is not in its tensors. */
export const modelIn = ({ folder, modelHash }: Task): Record<string, unknown> => ({
  ...folder.config,
  model: modelHash,
  pooling: folder.pooling,
});

/** What a checkpoint must share with the run that goes on from it, by the names users write. */
export function manifestOf(task: Task, config: FineTuneConfig, rates: LayerRates): Record<string, unknown> {
  return {
    ...modelIn(task),
    train: task.splits.train.encoded.hash,
    validation: task.splits.validation.encoded.hash,
    learning_rate_per_layer: rates,
    ...Object.fromEntries(DECIDING.map((key) => [asWritten(key), config[key]])),
    data_seed: config.dataSeed ?? config.seed,
  };
}
