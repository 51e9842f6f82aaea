/** Cost against value of every complete trial, the Pareto front drawn through. */
import { paretoFront } from "../../analysis/pareto.js";
import type { SearchFindings } from "../findings.js";
import type { PlotSpec } from "./spec.js";
import { ARM_NAMES, ARM_SCALE, INK } from "./theme.js";

export function costPlot({ trials, study }: SearchFindings): PlotSpec {
  const values = paretoFront(trials, study.direction).map(({ trial, value, cost, onFront }) => ({
    number: trial.number,
    value,
    cost,
    onFront,
    arm: ARM_NAMES[trial.arm],
  }));
  const x = {
    field: "cost",
    type: "quantitative",
    title: "training FLOPs of the trial",
    axis: { format: "~s", tickCount: 6, labelExpr: "datum.value === 0 ? '0' : datum.label" },
    scale: { zero: true },
  } as const;
  const y = {
    field: "value",
    type: "quantitative",
    title: study.objective,
    scale: { zero: false, nice: true },
  } as const;
  return {
    width: 600,
    height: 260,
    data: { values },
    layer: [
      {
        transform: [{ filter: "datum.onFront" }],
        mark: { type: "line", interpolate: "step-after", color: INK, strokeWidth: 1.4, opacity: 0.6 },
        encoding: { x, y, order: { field: "cost" } },
      },
      {
        mark: { type: "point", filled: true, size: 44, opacity: 0.75 },
        encoding: { x, y, color: { field: "arm", type: "nominal", title: null, scale: ARM_SCALE } },
      },
      {
        transform: [{ filter: "datum.onFront" }],
        mark: { type: "point", size: 110, color: INK, strokeWidth: 1.3, opacity: 0.9 },
        encoding: { x, y },
      },
      {
        transform: [{ filter: "datum.onFront" }],
        mark: { type: "text", dy: -12, fontSize: 10, color: INK },
        encoding: { x, y, text: { field: "number", type: "quantitative" } },
      },
    ],
  } as PlotSpec;
}
