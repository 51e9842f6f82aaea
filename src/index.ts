/** permafrost: a learning rate for each layer. Public names. */

import { resolve } from "./config/resolve.js";
import {
  type PredictOptions,
  predictOptions,
  type SearchOptions,
  searchOptions,
  type TrainOptions,
  trainOptions,
} from "./config/schema.js";
import type { SearchEvent, TrainEvent } from "./events.js";
import { addon, call } from "./native/call.js";
import { machineThreads } from "./native/machine.js";
import { Model } from "./predict.js";
import { Run } from "./run.js";
import { runSearch, type SearchResult } from "./search/search.js";
import { threadsOf } from "./train/core-spec.js";
import { runFineTune, type TrainResult } from "./train/fine-tune.js";

export type { ArmResult, Comparison, LayerFindings, LayerTrial, SeedResult } from "./analysis/index.js";
export type { PredictOptions, SearchOptions, TrainOptions } from "./config/schema.js";
export type { TextInput } from "./data/texts.js";
export {
  ConfigError,
  DataError,
  type Issue,
  ModelError,
  NativeError,
  PermafrostError,
  StoreError,
  TrainingError,
} from "./errors.js";
export type { SearchEvent, SearchPhase, TrainEvent } from "./events.js";
export type { DeviceInfo, PeakInfo, VersionInfo } from "./native/contract.js";
export { type HiddenStates, Model, type Prediction } from "./predict.js";
export {
  buildReport,
  parseReport,
  renderHtml,
  renderJson,
  renderMarkdown,
  renderTerminal,
  type SearchFindings,
} from "./report/index.js";
export { Run } from "./run.js";
export type { SearchResult } from "./search/search.js";
export type { TrainResult } from "./train/fine-tune.js";
export type { CacheUse } from "./train/totals.js";

/** JavaScript may give none: what is missing is then said as of any options. */
const orNone = <T extends object>(options: T): T => options ?? ({} as T);

interface Abortable {
  /** Stops the work; the run rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Searches a learning rate for each layer, trains the winner, compares it with a tuned uniform rate, writes a report and
 * a model folder to `outputDir`. Iterate the run for progress, await it for the result.
 *
 * @throws ConfigError, DataError, ModelError, StoreError, TrainingError (from the run).
 *
 * @example
 * const { rates } = await search({ model: "minilm", train: "train.jsonl", validation: "dev.jsonl", test: "test.jsonl" });
 */
export function search(options: SearchOptions & Abortable): Run<SearchEvent, SearchResult> {
  const { signal, ...given } = orNone(options);
  return new Run(async (emit, stop) => {
    const { config, warnings } = resolve(searchOptions, given);
    for (const message of warnings) emit({ type: "notice", message });
    return runSearch(config, emit, stop);
  }, signal);
}

/** Trains one configuration and writes a model folder to `outputDir`. */
export function fineTune(options: TrainOptions & Abortable): Run<TrainEvent, TrainResult> {
  const { signal, ...given } = orNone(options);
  return new Run(async (emit, stop) => {
    const { config, warnings } = resolve(trainOptions, given);
    for (const message of warnings) emit({ type: "notice", message });
    return runFineTune(config, emit, stop);
  }, signal);
}

/** Loads a trained classifier, of permafrost's or Hugging Face's making. Dispose it when done. */
export async function loadModel(model: string, options: Omit<PredictOptions, "model"> = {}): Promise<Model> {
  return Model.load(resolve(predictOptions, { ...options, model }).config);
}

/** Version and compiler of the native core. */
export const version = () => addon().version();

/** What this machine can run. `threads` is what a run takes where nobody says: a container's CPU quota counts. */
export const listDevices = () =>
  addon()
    .listDevices()
    .map((device) => ({ ...device, threads: machineThreads() }));

/** The most this machine does, measured in about a third of a second: what a profile is held against. */
export const measurePeak = (options: Pick<TrainOptions, "threads" | "isa"> = {}) =>
  call("measurePeak", () => addon().measurePeak({ threads: threadsOf(options), isa: options.isa ?? "auto" }));
