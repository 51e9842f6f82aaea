/** What a search leaves in its folder beside the model and the study. */
import path from "node:path";
import { writeFileAtomic, writeJsonAtomic } from "../models/atomic.js";
import { replaceFiles } from "../models/exchange.js";
import { buildReport, renderHtml, renderJson, renderMarkdown, type SearchFindings } from "../report/index.js";
import type { LayerRates } from "../train/layer-rates.js";

/** report.html, report.md, report.json and layers.json, exchanged together: never one of this search beside one of another. */
export async function writeOutputs(
  dir: string,
  findings: SearchFindings,
  rates: { readonly winner: LayerRates; readonly uniform: LayerRates | null },
): Promise<void> {
  const report = buildReport(findings);
  const html = await renderHtml(report);
  await replaceFiles(dir, { last: "report.json" }, async (stage) => {
    await writeFileAtomic(path.join(stage, "report.html"), html);
    await writeFileAtomic(path.join(stage, "report.md"), renderMarkdown(report));
    await writeFileAtomic(path.join(stage, "report.json"), renderJson(findings));
    await writeJsonAtomic(path.join(stage, "layers.json"), {
      learning_rate_per_layer: rates.winner,
      frozen: Object.keys(rates.winner).filter((group) => rates.winner[group] === 0),
      uniform: rates.uniform,
    });
  });
}
