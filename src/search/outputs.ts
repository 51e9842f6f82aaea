/** What a search leaves in its folder beside the model and the study. */
import path from "node:path";
import { writeFileAtomic, writeJsonAtomic } from "../models/atomic.js";
import { buildReport, renderHtml, renderJson, renderMarkdown, type SearchFindings } from "../report/index.js";
import type { LayerRates } from "../train/layer-rates.js";

export async function writeOutputs(
  dir: string,
  findings: SearchFindings,
  rates: { readonly winner: LayerRates; readonly uniform: LayerRates | null },
): Promise<void> {
  const report = buildReport(findings);
  await writeFileAtomic(path.join(dir, "report.html"), await renderHtml(report));
  await writeFileAtomic(path.join(dir, "report.md"), renderMarkdown(report));
  await writeFileAtomic(path.join(dir, "report.json"), renderJson(findings));
  await writeJsonAtomic(path.join(dir, "layers.json"), {
    learning_rate_per_layer: rates.winner,
    frozen: Object.keys(rates.winner).filter((group) => rates.winner[group] === 0),
    uniform: rates.uniform,
  });
}
