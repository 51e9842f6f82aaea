/** Findings → document. Answers first, the search behind them next, what was not tested and how to repeat it last. */
import { plural } from "../analysis/words.js";
import type { Block, ReportDocument, Section } from "./document.js";
import type { SearchFindings } from "./findings.js";
import { layersSection } from "./sections/layers.js";
import { setupSection } from "./sections/setup.js";
import { trialsSection } from "./sections/trials.js";
import { verdictSection } from "./sections/verdict.js";

export function buildReport(findings: SearchFindings): ReportDocument {
  const { study } = findings;
  const train = study.data.find((file) => file.role === "train");
  const parts = [study.model.name];
  if (train) parts.push(`${plural(train.rows, "training row")}, ${plural(train.labels, "label")}`);
  parts.push(plural(findings.trials.length, "trial"));
  if (study.finishedAt) parts.push(study.finishedAt.slice(0, 10));
  return {
    title: study.name,
    subtitle: parts.join(" · "),
    sections: [
      ...noticesSection(findings),
      verdictSection(findings),
      layersSection(findings.layers),
      trialsSection(findings),
      limitsSection(findings),
      setupSection(findings),
    ],
  };
}

function noticesSection({ notices }: SearchFindings): Section[] {
  if (notices.length === 0) return [];
  const blocks = notices.map(({ tone, text }): Block => {
    const label = tone === "warning" ? "Warning" : "Note";
    return { kind: "notice", tone, label, text, brief: tone === "warning" };
  });
  return [{ id: "notices", title: "Read this first", blocks }];
}

function limitsSection({ layers }: SearchFindings): Section {
  return { id: "limits", title: "What was not tested", blocks: [{ kind: "list", items: layers.notTested }] };
}
