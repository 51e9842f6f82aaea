/**
 * What makes two runs of a search the same search. Said by what does not matter, so that an option added later counts
 * until somebody decides otherwise.
 */
import { createHash } from "node:crypto";
import type { SearchConfig } from "../config/schema.js";
import type { LayerRates } from "../train/layer-rates.js";
import { asWritten, modelIn } from "../train/manifest.js";
import type { Task } from "../train/task.js";

export type Manifest = Readonly<Record<string, unknown>>;

/** Where things are and how fast they go. Files count by their content. Lanes change which results a proposal knew. */
const NOT_RESULTS: ReadonlySet<string> = new Set<keyof SearchConfig>([
  ...(["model", "train", "validation", "test", "outputDir", "storage", "studyName", "saveDtype"] as const),
  ...(["threads", "isa", "cache", "cacheGib", "lanes", "perDeviceEvalBatchSize"] as const),
  ...(["pooling", "maxLength"] as const), // the task's count, which are those of the options where there are any
  ...(["timeout", "resume", "force"] as const),
]);

/** What decides which configurations are tried, and not what one of them gives. */
const ONLY_SEARCH: ReadonlySet<string> = new Set([
  ...["n_trials", "n_random_trials", "sampler", "pruner", "baseline", "n_seeds"],
  ...["learning_rate_range", "head_learning_rate_range", "lr_offset"],
]);

/** Whether a trial with the same rates gives something else when this key of the manifest differs. */
export const changesTrials = (key: string) => key !== "test" && !ONLY_SEARCH.has(key);

/** Options of a search, its sizes decided. */
export type PlannedConfig = SearchConfig & {
  readonly nTrials: number;
  /** Of the randomised arm. */
  readonly nRandomTrials: number;
  readonly nSeeds: number;
};

/**
 * The sizes that were asked for; else those of the search that goes on, whose randomised arm does not grow with its trials;
 * else 30 trials, 40 % of them random, and 5 seeds.
 *
 * @param before the manifest of the study that is resumed.
 */
export function plannedConfig(config: SearchConfig, before: Manifest): PlannedConfig {
  const had = before as { n_trials?: number; n_random_trials?: number; n_seeds?: number };
  const nTrials = config.nTrials ?? had.n_trials ?? 30;
  const random = config.nRandomTrials ?? had.n_random_trials ?? Math.ceil(0.4 * nTrials);
  const nSeeds = config.nSeeds ?? had.n_seeds ?? 5;
  return { ...config, nTrials, nRandomTrials: Math.min(nTrials, random), nSeeds };
}

/** By the names users write. */
export function manifestOf(task: Task, config: PlannedConfig): Manifest {
  const options = Object.entries(config).filter(([key]) => !NOT_RESULTS.has(key));
  return {
    ...modelIn(task),
    max_length: task.maxLength,
    train: task.splits.train.encoded.hash,
    validation: task.splits.validation.encoded.hash,
    test: task.splits.test!.encoded.hash,
    ...Object.fromEntries(options.map(([key, value]) => [asWritten(key), value])),
  };
}

/** What a resume may ask for that was not planned, as long as test is unread. */
export const mayChange = (before: Manifest, { nTrials }: PlannedConfig) =>
  nTrials > Number(before.n_trials) ? ["n_trials", "n_seeds"] : ["n_seeds"];

/** Names what retraining `rates` gives: other rates, options or files have another name. */
export function trainingKey(rates: LayerRates, manifest: Manifest): string {
  const training = Object.entries(manifest).filter(([key]) => !ONLY_SEARCH.has(key));
  const sorted = (entries: readonly (readonly [string, unknown])[]) =>
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([sorted(Object.entries(rates)), sorted(training)]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
