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
  for (const notice of dataset.notices) terminal.log(notice);
  await using model = await loadModel(config.model, config);
  const ofFolder = model.notices;
  for (const notice of ofFolder) terminal.log(notice);
  const predictions = await model.predictDataset(dataset, signal);
  for (const notice of model.notices.slice(ofFolder.length)) terminal.log(notice);
  for (const { label, score, logits } of predictions) {
    terminal.out(
      json ? JSON.stringify({ label, score, logits: Array.from(logits) }) : `${label}\t${score.toFixed(4)}`,
    );
  }
}
