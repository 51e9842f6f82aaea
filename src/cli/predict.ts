import type { Resolved } from "../config/resolve.js";
import type { predictOptions } from "../config/schema.js";
import { readDataset } from "../data/reader.js";
import { loadModel } from "../index.js";
import type { Context } from "./main.js";

export async function predictCommand(
  { config, warnings }: Resolved<typeof predictOptions>,
  input: string,
  { terminal, json, signal }: Context,
): Promise<void> {
  for (const warning of warnings) terminal.log(warning);
  const dataset = await readDataset(input, { requireLabels: false });
  await using model = await loadModel(config.model, config);
  for (const { label, score, logits } of await model.predictDataset(dataset, signal)) {
    terminal.out(
      json ? JSON.stringify({ label, score, logits: Array.from(logits) }) : `${label}\t${score.toFixed(4)}`,
    );
  }
}
