import { duration } from "../analysis/words.js";
import type { Resolved } from "../config/resolve.js";
import type { searchOptions } from "../config/schema.js";
import { buildReport, renderTerminal, type SearchEvent, type SearchResult, search } from "../index.js";
import type { Context } from "./main.js";
import { bar, cacheLines } from "./progress.js";

const PHASES = {
  prepare: "reading model and data",
  search: "searching per-layer rates",
  baseline: "tuning the uniform baseline with as many trials",
  retrain: "retraining winner and baseline on the same seeds",
  analyse: "analysing layers",
  write: "writing the report",
};

export async function searchCommand(
  { config, warnings }: Resolved<typeof searchOptions>,
  context: Context,
): Promise<void> {
  const { terminal, json, progressJson, signal } = context;
  for (const warning of warnings) terminal.log(warning);
  const run = search({ ...config, signal });
  const show = progressPrinter(context);
  for await (const event of run) {
    if (progressJson) terminal.out(JSON.stringify(event));
    show(event);
  }
  const result = await run;
  if (progressJson) return terminal.out(JSON.stringify({ type: "result", ...summary(result) }));
  if (json) return terminal.out(JSON.stringify(summary(result), null, 2));
  for (const line of cacheLines(result.cache)) terminal.log(line);
  const report = buildReport(result.findings);
  terminal.out(renderTerminal(report, { width: terminal.width, color: terminal.color }));
  terminal.out(
    `\nreport   ${config.outputDir}/report.html\nmodel    ${config.outputDir}/model\nstudy    ${result.storage}`,
  );
}

/** What --json prints, and --progress json last. */
function summary({ findings, ...result }: SearchResult) {
  const { comparisons, layers, trials } = findings;
  return { ...result, comparison: comparisons[0] ?? null, layers, trialList: trials };
}

function progressPrinter({ terminal }: Context): (event: SearchEvent) => void {
  let begin = performance.now();
  let before = 0; // trials that were finished when the phase began: a resumed search
  return (event) => {
    switch (event.type) {
      case "notice":
        return terminal.log(event.message);
      case "phase":
        begin = performance.now();
        before = -1;
        return terminal.log(`${PHASES[event.phase]}${event.total > 0 ? ` (${event.total})` : ""}`);
      case "trialEnd": {
        if (before < 0) before = event.finished - 1;
        const value = event.value === null ? "-" : event.value.toFixed(4);
        const frozen = Object.values(event.rates).filter((rate) => rate === 0).length;
        terminal.log(
          `  trial ${event.number}  ${event.state.padEnd(8)}  ${value}  ${frozen} frozen  ${event.seconds.toFixed(1)} s  ${event.arm}`,
        );
        const each = (performance.now() - begin) / 1e3 / Math.max(1, event.finished - before);
        const best = event.best ? `best ${event.best.value.toFixed(4)} (trial ${event.best.number})` : "";
        return terminal.status(
          `${bar(event.finished, event.total)} ${event.finished}/${event.total}  ${best}  ${duration(each * (event.total - event.finished))} left`,
        );
      }
      case "seedEnd":
        return terminal.log(
          `  ${event.arm}  seed ${event.seed}  validation ${event.validation?.toFixed(4) ?? "diverged"}  ${event.seconds.toFixed(1)} s  (${event.finished}/${event.total})`,
        );
      case "saved":
        return terminal.status("");
      default:
        return undefined;
    }
  };
}
