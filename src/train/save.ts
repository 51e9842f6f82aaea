/**
 * A trained lane as a Hugging Face folder, with layers.json (what each layer's rate was), trainer_state.json and results files,
 * all exchanged together: none tells of another training than the weights beside it.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import type { CardData } from "../models/card.js";
import { OWNER_FILE, saveModelFolder } from "../models/export.js";
import type { Tensor } from "../models/types.js";
import type { NativeSession } from "../native/session.js";
import type { LayerRates } from "./layer-rates.js";
import type { Scores } from "./metrics.js";
import type { Task } from "./task.js";
import { type Results, resultsFiles } from "./trainer-state.js";

export interface SaveTrainedOptions {
  readonly dtype: "fp32" | "fp16" | "bf16";
  readonly rates: LayerRates;
  readonly validation: Scores;
  readonly test: Scores | null;
  /** For the model card: sentences for the top, and the arguments it was trained with. */
  readonly summary?: string;
  readonly hyperparameters?: Readonly<Record<string, string | number | boolean>>;
  /** trainer_state.json; made by `trainerState`. @default none is written */
  readonly trainerState?: Readonly<Record<string, unknown>>;
  /** *_results.json. @default none is written */
  readonly results?: Results;
}

const DTYPES = { fp32: "F32", fp16: "F16", bf16: "BF16" } as const;

/** Reads the lane's weights from the core and writes `dir`. */
export async function saveTrained(
  dir: string,
  task: Task,
  session: NativeSession,
  lane: number,
  options: SaveTrainedOptions,
): Promise<void> {
  const infos = task.native.description.tensors;
  const values = await session.readTensors(
    lane,
    infos.map(({ name }) => name),
  );
  const tensors = new Map<string, Tensor>(
    infos.map(({ name, shape }, i) => [name, { name, shape, data: values[i]! }]),
  );
  await saveModelFolder(dir, {
    source: task.folder,
    tensors,
    maxLength: task.maxLength,
    labels: task.labels.names,
    dtype: DTYPES[options.dtype],
    card: cardOf(task, options),
    beside: {
      [OWNER_FILE]: {
        learning_rate_per_layer: options.rates,
        frozen: Object.keys(options.rates).filter((group) => options.rates[group] === 0),
      },
      "trainer_state.json": options.trainerState ?? null,
      ...resultsFiles(options.results),
    },
  });
}

function cardOf(
  task: Task,
  { rates, validation, test, summary, hyperparameters }: SaveTrainedOptions,
): CardData {
  // Names alone: a card is published, and paths tell of somebody's machine.
  const baseModel = path.basename(path.resolve(task.folder.path));
  const dataset = path.basename(task.splits.train.dataset.path);
  const baseModelId = hubIdOf(task.folder.rawConfig);
  return {
    ...{ name: `${baseModel} fine-tuned on ${dataset}`, baseModel, dataset },
    ...(baseModelId ? { baseModelId } : {}),
    metrics: [
      { type: "accuracy", split: "validation", value: validation.accuracy },
      ...(test ? [{ type: "accuracy", split: "test", value: test.accuracy }] : []),
    ],
    learningRates: rates,
    ...(hyperparameters ? { hyperparameters } : {}),
    ...(summary ? { summary } : {}),
  };
}

/** transformers writes there what a model was loaded from: an id of the hub, or a folder. */
function hubIdOf({ _name_or_path: from }: Readonly<Record<string, unknown>>): string | undefined {
  const isId = typeof from === "string" && /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(from);
  return isId && !existsSync(from) ? from : undefined;
}
