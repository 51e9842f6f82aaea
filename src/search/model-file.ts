/** The winner's model folder, and whether a folder still holds what was written there. */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import path from "node:path";
import type { NativeSession } from "../native/session.js";
import { hyperparametersOf } from "../train/hyperparameters.js";
import type { LayerRates } from "../train/layer-rates.js";
import type { Scores } from "../train/metrics.js";
import { saveTrained } from "../train/save.js";
import type { Task } from "../train/task.js";
import type { PlannedConfig } from "./manifest.js";

export interface ModelFile {
  /** Writes a lane's weights, still in the core. @returns a mark to know the file by. */
  write(
    session: NativeSession,
    lane: number,
    seed: number,
    trained: {
      readonly validation: Scores;
      readonly test: Scores;
      readonly trainerState: Readonly<Record<string, unknown>>;
    },
  ): Promise<string>;
  /** Whether the file is there and is the one of that mark, beside what it is read with. */
  holds(mark: string): Promise<boolean>;
}

/** Where the winner goes. */
export const modelDir = ({ outputDir }: Pick<PlannedConfig, "outputDir">) => path.join(outputDir, "model");

/** @param spent by the search, for the model card: trials, and seeds of the retraining. */
export function winnerModel(
  task: Task,
  config: PlannedConfig,
  rates: LayerRates,
  spent: { readonly trials: number; readonly seeds: number },
): ModelFile {
  const dir = modelDir(config);
  const mark = async () => `${config.saveDtype}:${await sha256(path.join(dir, "model.safetensors"))}`;
  return {
    async write(session, lane, seed, trained) {
      await saveTrained(dir, task, session, lane, {
        dtype: config.saveDtype,
        rates,
        ...trained,
        // A retraining's rows are in the order of its seed.
        hyperparameters: hyperparametersOf({
          ...config,
          maxLength: task.maxLength,
          seed,
          dataSeed: undefined,
        }),
        summary: `Fine-tuned with a learning rate for each layer, found by permafrost in ${spent.trials} trials; of ${spent.seeds} seeds this is the one best on validation.`,
      });
      return mark();
    },
    holds: async (wanted) =>
      ["config.json", "tokenizer.json"].every((name) => existsSync(path.join(dir, name))) &&
      wanted === (await mark().catch(() => null)),
  };
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
