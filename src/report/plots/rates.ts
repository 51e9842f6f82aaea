/** Rates per layer of the best trials: one row a trial, one column a group, 0 = frozen. */
import { inNetworkOrder } from "../../analysis/groups.js";
import { bestTrials } from "../../analysis/pareto.js";
import { fixed, rate } from "../../analysis/words.js";
import type { SearchFindings } from "../findings.js";
import type { PlotSpec } from "./spec.js";
import { ARM_NAMES, GREY, INK } from "./theme.js";

export const SHOWN = 15;

export function ratesPlot({ trials, study }: SearchFindings): PlotSpec {
  const best = bestTrials(trials, study.direction).slice(0, SHOWN);
  const groups = inNetworkOrder(best.flatMap((trial) => Object.keys(trial.rates)));
  const rowOf = (trial: (typeof best)[number]) =>
    `trial ${trial.number} (${ARM_NAMES[trial.arm]})  ${fixed(trial.value, 4)}`;
  const values = best.flatMap((trial) =>
    groups.flatMap((group) => {
      const value = trial.rates[group];
      if (value === undefined) return [];
      return [
        {
          trial: rowOf(trial),
          group,
          log: value > 0 ? Math.log10(value) : null,
          text: value > 0 ? rate(value) : "0",
        },
      ];
    }),
  );
  const logs = values.flatMap(({ log }) => (log === null ? [] : [log]));
  const low = Math.floor(Math.min(...logs, -5));
  const high = Math.ceil(Math.max(...logs, low + 1));
  // Beyond 16 groups the numbers would overlap: colour alone has to do.
  const wide = groups.length <= 16;
  const x = {
    field: "group",
    type: "ordinal",
    sort: groups,
    title: null,
    axis: {
      orient: "top",
      labelAngle: groups.length > 9 ? -40 : 0,
      grid: false,
      domain: false,
      ticks: false,
    },
  } as const;
  const y = {
    field: "trial",
    type: "ordinal",
    sort: best.map(rowOf),
    title: null,
    axis: { labelLimit: 260, grid: false, domain: false, ticks: false },
  } as const;
  return {
    data: { values },
    width: { step: wide ? Math.max(44, Math.min(64, 520 / groups.length)) : 26 },
    height: { step: 24 },
    layer: [
      {
        transform: [{ filter: "datum.log !== null" }],
        mark: { type: "rect", cornerRadius: 2 },
        encoding: {
          x,
          y,
          color: {
            field: "log",
            type: "quantitative",
            title: "learning rate",
            scale: {
              domain: [low, high],
              range: ["#fde9c4", "#f4b266", "#dd7a33", "#a63a1e", "#5e1914"],
              interpolate: "lab",
            },
            legend: {
              gradientLength: 120,
              format: "d",
              labelExpr: "'1e' + datum.label",
              values: integers(low, high),
              orient: "right",
            },
          },
        },
      },
      {
        transform: [{ filter: "datum.log === null" }],
        mark: {
          type: "rect",
          cornerRadius: 2,
          fill: GREY,
          fillOpacity: 0.14,
          stroke: GREY,
          strokeOpacity: 0.35,
        },
        encoding: { x, y },
      },
      {
        transform: wide ? [] : [{ filter: "datum.log === null" }],
        mark: { type: "text", fontSize: 10, baseline: "middle" },
        encoding: {
          x,
          y,
          text: { field: "text" },
          color: {
            condition: [
              { test: "datum.log === null", value: INK },
              { test: `datum.log > ${low + (high - low) * 0.62}`, value: "#fff" },
            ],
            value: "#222",
          },
        },
      },
    ],
  };
}

function integers(low: number, high: number): number[] {
  return Array.from({ length: high - low + 1 }, (_, i) => low + i);
}
