/** How many trials train at once, where nobody says. */
import type { SearchConfig } from "../config/schema.js";
import type { BertConfig } from "../models/types.js";
import { machineMemory } from "../native/machine.js";
import { threadsOf } from "../train/core-spec.js";
import type { Task } from "../train/task.js";

/** Of the machine's memory, what lanes may take. */
const SHARE = 1 / 2;

/**
 * A lane a thread; fewer where they would not fit into half of the machine's memory. Of all it has, not of what is free now:
 * the number decides which results a proposal knows, and a search that is repeated should know the same.
 */
export function lanesOf(
  config: Pick<SearchConfig, "lanes" | "threads" | "perDeviceTrainBatchSize">,
  { folder, native, maxLength }: Pick<Task, "folder" | "native" | "maxLength">,
  memory = machineMemory(),
): number {
  if (config.lanes !== undefined) return config.lanes;
  const tokens = config.perDeviceTrainBatchSize * maxLength;
  const fit = Math.floor((SHARE * memory) / laneBytes(folder.config, native.description.parameters, tokens));
  return Math.max(1, Math.min(threadsOf(config), fit));
}

/**
 * At most, everything trained: weights, both moments and gradients, and what forward keeps for backward
 * (native/core/plan.h).
 */
function laneBytes(
  { hidden_size, intermediate_size, num_hidden_layers }: BertConfig,
  parameters: number,
  tokens: number,
): number {
  const kept = num_hidden_layers * (6 * hidden_size + intermediate_size);
  return 4 * (4 * parameters + tokens * kept);
}
