/** What the search did: the best trials, its course, and accuracy against cost. */

import { inNetworkOrder } from "../../analysis/groups.js";
import { bestTrials, paretoFront } from "../../analysis/pareto.js";
import { duration, fixed, groupList, large, percent, plural, rate } from "../../analysis/words.js";
import type { TrialState } from "../../study/types.js";
import type { Block, Section, Table } from "../document.js";
import type { SearchFindings } from "../findings.js";
import { costPlot } from "../plots/cost.js";
import { historyPlot } from "../plots/history.js";
import { ratesPlot, SHOWN } from "../plots/rates.js";
import { ARM_NAMES } from "../plots/theme.js";

export function trialsSection(findings: SearchFindings): Section {
  const { trials, study } = findings;
  const best = bestTrials(trials, study.direction);
  const blocks: Block[] = [{ kind: "paragraph", text: countSentence(findings), brief: true }];
  const first = best[0];
  if (!first) {
    blocks.push({
      kind: "notice",
      tone: "warning",
      label: "No result",
      text: "No trial ended with a value.",
      brief: true,
    });
    return { id: "search", title: "What the search found", blocks };
  }
  blocks.push({
    kind: "figure",
    title: "Learning rate per layer, best trials",
    alt: `Rates of the best ${Math.min(SHOWN, best.length)} trials. Best: trial ${first.number}, ${fixed(first.value, 4)}: ${ratesInWords(first.rates)}.`,
    caption: `One row a trial, best first, with its ${study.objective}; one column a group of parameters. 0: frozen.`,
    plot: ratesPlot(findings),
  });
  blocks.push(bestTable(findings));
  blocks.push({
    kind: "figure",
    title: "Course of the search",
    alt: `${study.objective} of ${plural(trials.length, "trial")} in order; the best is ${fixed(first.value, 4)} at trial ${first.number}.`,
    caption: `Line: best so far. Hollow triangles: pruned trials, at the last value they reported.${withoutValue(findings)}`,
    plot: historyPlot(findings),
  });
  const front = paretoFront(trials, study.direction).filter((point) => point.onFront);
  blocks.push({
    kind: "figure",
    title: "Cost against accuracy",
    alt: `Pareto front: ${front.map((p) => `trial ${p.trial.number} (${large(p.cost)}FLOPs, ${fixed(p.value, 4)})`).join(", ")}.`,
    caption:
      "Ringed and numbered: trials that no cheaper trial matches (Pareto front). Pruned trials are not shown.",
    plot: costPlot(findings),
  });
  return { id: "search", title: "What the search found", blocks };
}

function countSentence({ trials }: SearchFindings): string {
  const states: readonly (readonly [TrialState, string])[] = [
    ["COMPLETE", "complete"],
    ["PRUNED", "pruned"],
    ["FAIL", "failed"],
    ["RUNNING", "unfinished"],
    ["WAITING", "waiting"],
  ];
  const counts = states.flatMap(([state, word]) => {
    const n = trials.filter((trial) => trial.state === state).length;
    return n > 0 ? [`${n} ${word}`] : [];
  });
  const arms = Object.entries(ARM_NAMES).flatMap(([arm, name]) => {
    const n = trials.filter((trial) => trial.arm === arm).length;
    return n > 0 ? [`${n} ${name}`] : [];
  });
  const seconds = trials.reduce((sum, trial) => sum + trial.cost.seconds, 0);
  const flops = trials.reduce((sum, trial) => sum + trial.cost.flops, 0);
  return `${plural(trials.length, "trial")}: ${counts.join(", ")} (${arms.join(", ")}). Together ${duration(seconds)} of training and ${large(flops)}FLOPs.`;
}

function withoutValue({ trials }: SearchFindings): string {
  const missing = trials.filter((t) => t.value === null || !Number.isFinite(t.value)).length;
  return missing > 0 ? ` Not drawn: ${plural(missing, "trial")} without a finite value.` : "";
}

function bestTable({ trials, study }: SearchFindings): Table {
  const best = bestTrials(trials, study.direction).slice(0, 5);
  return {
    kind: "table",
    caption: `Best ${plural(best.length, "trial")} on validation`,
    columns: [
      { label: "Trial", align: "right" },
      { label: "Arm" },
      { label: study.objective, align: "right" },
      { label: "Frozen" },
      { label: "Rates where trained", detail: true },
      { label: "Parameters", align: "right" },
      { label: "FLOPs", align: "right" },
      { label: "Time", align: "right" },
    ],
    rows: best.map((trial) => {
      const groups = inNetworkOrder(Object.keys(trial.rates));
      return [
        String(trial.number),
        ARM_NAMES[trial.arm],
        study.direction === "maximize" ? percent(trial.value) : fixed(trial.value, 4),
        groupList(groups.filter((g) => trial.rates[g] === 0)) || "none",
        ratesInWords(trial.rates),
        large(trial.cost.trainedParameters),
        large(trial.cost.flops),
        duration(trial.cost.seconds),
      ];
    }),
    note: "Chosen because they look best here: expect less on test.",
    brief: true,
  };
}

function ratesInWords(rates: Readonly<Record<string, number>>): string {
  return inNetworkOrder(Object.keys(rates))
    .filter((group) => rates[group] !== 0)
    .map((group) => `${group} ${rate(rates[group]!)}`)
    .join(", ");
}
