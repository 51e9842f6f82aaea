import { duration } from "../analysis/words.js";
import type { Resolved } from "../config/resolve.js";
import type { predictOptions } from "../config/schema.js";
import { readDataset } from "../data/reader.js";
import { loadModel, type Prediction } from "../index.js";
import type { Context } from "./main.js";
import { bar } from "./progress.js";

/** Rows are printed as they are done: what is printed before an error or a stop stays. */
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
  const total = dataset.examples.length;
  const line = json ? asJson : asText;
  const begin = performance.now();
  let done = 0;
  for await (const slice of model.predictSlices(dataset, signal)) {
    terminal.out(slice.map(line).join("\n"));
    done += slice.length;
    const left = ((performance.now() - begin) / done) * (total - done);
    if (done < total)
      terminal.status(`${bar(done, total)} row ${done}/${total}  ${duration(left / 1e3)} left`);
  }
  for (const notice of model.notices.slice(ofFolder.length)) terminal.log(notice);
}

const asJson = ({ label, score, logits }: Prediction) =>
  JSON.stringify({ label, score, logits: Array.from(logits) });
const asText = ({ label, score }: Prediction) => `${label}\t${score.toFixed(4)}`;
