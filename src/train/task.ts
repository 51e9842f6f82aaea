/**
 * What every run over the same model and data shares: read, checked and tokenised once, then held by the core.
 */

import { encodeDataset } from "../data/encode.js";
import { buildLabelMap, classNotices, labelMapOf } from "../data/labels.js";
import { overlapNotice } from "../data/overlap.js";
import { readDataset } from "../data/reader.js";
import { type Keyed, keyed } from "../data/rows.js";
import type { Dataset, EncodedDataset, LabelMap } from "../data/types.js";
import { inTurns, type Pieces } from "../event-loop.js";
import { groupsOf } from "../models/bert.js";
import { readCompanions } from "../models/companions.js";
import type { SaveOptions } from "../models/export.js";
import { hashTensors } from "../models/hash.js";
import { drawTensors, initialiseModel } from "../models/init.js";
import type { ModelFolder, Tensor } from "../models/types.js";
import type { TensorMap } from "../native/contract.js";
import { NativeModel } from "../native/model.js";
import { coreCacheBudget, coreSpec, type MachineOptions } from "./core-spec.js";
import { type FolderOptions, openFolder } from "./open-folder.js";

export type SplitName = "train" | "validation" | "test";

export interface Split {
  readonly dataset: Dataset;
  readonly encoded: EncodedDataset;
  /** Index in the core's model. */
  readonly index: number;
}

export interface TaskOptions extends FolderOptions, MachineOptions {
  readonly train: string;
  readonly validation: string;
  readonly test?: string | undefined;
  readonly seed: number;
}

/** A model and its data, ready to train. Disposing it frees the core's memory. */
export interface Task extends AsyncDisposable {
  /** Without its weights, which the core has; with what goes beside a trained model, as it may be gone from there by then. */
  readonly folder: Omit<ModelFolder, "tensors"> & SaveOptions["source"];
  /** sha256 of the folder's weights, hex: `hashTensors`. */
  readonly modelHash: string;
  readonly native: NativeModel;
  /** "embeddings", "layer.0", …, "head". */
  readonly groups: readonly string[];
  readonly labels: LabelMap;
  /** Tokens that texts are cut at. */
  readonly maxLength: number;
  readonly splits: { readonly train: Split; readonly validation: Split; readonly test?: Split };
  /** A sentence each: newly initialised tensors, cut texts, … */
  readonly notices: readonly string[];
  /** Rows in two files, a sentence each: what is measured on them says less than it seems to. */
  readonly overlaps: readonly string[];
  /** The newly initialised tensors (classifier, a missing pooler) as another seed draws them. */
  initialFor(seed: number): TensorMap;
}

/**
 * @throws ModelError, DataError, ConfigError before anything is trained or written; the signal's reason, between files and rows.
 */
export async function openTask(options: TaskOptions, signal?: AbortSignal): Promise<Task> {
  const {
    folder: whole,
    tokenizer,
    maxLength,
    notices: ofFolder,
  } = await openFolder({ ...options, classifier: "optional" });
  const { tensors: _, ...rest } = whole;
  const folder = { ...rest, companions: await readCompanions(whole.path) };
  const read = (file: string) => {
    signal?.throwIfAborted();
    return readDataset(file, { requireLabels: true });
  };
  const datasets = {
    train: await read(options.train),
    validation: await read(options.validation),
    ...(options.test === undefined ? {} : { test: await read(options.test) }),
  };
  const labels = labelsOf(folder, datasets.train);
  const encoded = {} as Record<SplitName, EncodedDataset>;
  for (const [name, dataset] of Object.entries(datasets))
    encoded[name as SplitName] = await encodeDataset(tokenizer, dataset, labels, maxLength, signal);
  const keys = {} as Keys;
  for (const [name, dataset] of Object.entries(datasets))
    keys[name as SplitName] = await inTurns(keyed(dataset), signal);
  const notices = [...ofFolder, ...(await inTurns(dataNotices(keys, encoded, labels, maxLength), signal))];
  const overlaps = await inTurns(overlapsOf(keys), signal);
  const modelHash = await hashTensors(whole.tensors.values(), signal);
  signal?.throwIfAborted();
  const { tensors, initialised, notice } = initialiseModel(whole, labels.names, options.seed);
  const native = await NativeModel.create(
    { ...coreSpec(folder, labels.names.length, options), ...coreCacheBudget(options) },
    tensorMap(tensors.values()),
  );
  const splits = await splitsOf(native, datasets, encoded).catch(async (error: unknown) => {
    await native.dispose();
    throw error;
  });
  return {
    folder,
    modelHash,
    native,
    groups: groupsOf(folder.config),
    labels,
    maxLength,
    splits,
    notices: notice ? [notice, ...notices] : notices,
    overlaps,
    initialFor(seed) {
      return tensorMap(drawTensors(folder, labels.names, initialised, seed));
    },
    [Symbol.asyncDispose]: () => native.dispose(),
  };
}

async function splitsOf(
  native: NativeModel,
  datasets: Readonly<Record<"train" | "validation", Dataset>> & { readonly test?: Dataset },
  encoded: Readonly<Record<SplitName, EncodedDataset>>,
): Promise<Task["splits"]> {
  const split = async (name: SplitName): Promise<Split> => ({
    dataset: datasets[name]!,
    encoded: encoded[name],
    index: await native.addDataset(encoded[name]),
  });
  return {
    train: await split("train"),
    validation: await split("validation"),
    ...(datasets.test ? { test: await split("test") } : {}),
  };
}

const tensorMap = (tensors: Iterable<Tensor>): TensorMap =>
  Object.fromEntries(Array.from(tensors, ({ name, data }) => [name, data]));

/** The folder's own classes when the training labels are among them, else those of the training rows. */
function labelsOf(folder: Pick<ModelFolder, "labels">, train: Dataset): LabelMap {
  const fromRows = buildLabelMap(train);
  const own = folder.labels;
  return own && fromRows.names.every((name) => own.includes(name)) ? labelMapOf(own) : fromRows;
}

type Keys = Record<"train" | "validation", Keyed> & { test?: Keyed };

function* dataNotices(
  keys: Keys,
  encoded: Partial<Record<SplitName, EncodedDataset>>,
  labels: LabelMap,
  maxLength: number,
): Pieces<string[]> {
  const { train, ...others } = keys;
  const scored = Object.values(others).map(({ dataset }) => dataset);
  const notices = yield* classNotices(train, scored, labels);
  for (const [name, { truncated }] of Object.entries(encoded)) {
    if (truncated > 0)
      notices.push(
        `${keys[name as SplitName]!.dataset.path}: ${truncated} texts were cut at ${maxLength} tokens`,
      );
  }
  for (const dataset of [train.dataset, ...scored]) notices.push(...dataset.notices);
  return notices;
}

function* overlapsOf({ train, validation, test }: Keys): Pieces<string[]> {
  const memory = "what is measured on them is memory";
  const choice = "a choice made on them looks better than it is when they are scored again";
  const pairs = [
    [train, validation, memory],
    [train, test, memory],
    [validation, test, choice],
  ] as const;
  const notices: string[] = [];
  for (const [earlier, other, so] of pairs) {
    const notice = other ? yield* overlapNotice(earlier, other, so) : null;
    if (notice) notices.push(notice);
  }
  return notices;
}
