/** Findings → document. Answers first, the search behind them next, what was not tested and how to repeat it last. */
import { plural } from "../analysis/words.js";
import type { Block, ReportDocument, Section } from "./document.js";
import type { ModelMeta, SearchFindings } from "./findings.js";
import { layersSection } from "./sections/layers.js";
import { setupSection } from "./sections/setup.js";
import { trialsSection } from "./sections/trials.js";
import { verdictSection } from "./sections/verdict.js";

export function buildReport(findings: SearchFindings): ReportDocument {
  const { study } = findings;
  const train = study.data.find((file) => file.role === "train");
  const parts = [`study ${study.name}`];
  if (train) parts.push(`${plural(train.rows, "training row")}, ${plural(train.labels, "label")}`);
  parts.push(plural(findings.trials.length, "trial"));
  if (study.finishedAt) parts.push(study.finishedAt.slice(0, 10));
  return {
    title: titleOf(study.model, train?.path),
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

/** What was run: reports are told apart by model and data; the study's name has a default. */
function titleOf({ name, family }: ModelMeta, train: string | undefined): string {
  const model = lastName(name) || family;
  return train === undefined ? model : `${model} on ${lastName(train)}`;
}

/** Last name of a path of any system. "model", where a search leaves its model, says nothing without the folder above. */
function lastName(path: string): string {
  const names = path.split(/[\\/]/).filter((name) => !["", ".", ".."].includes(name));
  return names.slice(names.at(-1) === "model" ? -2 : -1).join("/");
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
