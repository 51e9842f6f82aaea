/** The course of the search: every trial's value by arm, and the best so far. */
import { history } from "../../analysis/pareto.js";
import type { SearchFindings } from "../findings.js";
import type { PlotSpec } from "./spec.js";
import { ARM_NAMES, ARM_SCALE, INK } from "./theme.js";

export function historyPlot({ trials, study }: SearchFindings): PlotSpec {
  const points = history(trials, study.direction);
  const values = points.map((point) => ({
    number: point.number,
    value: point.value !== null && Number.isFinite(point.value) ? point.value : null,
    arm: ARM_NAMES[point.arm],
    state: point.state === "COMPLETE" ? "complete" : "pruned",
    best: point.best,
  }));
  const x = {
    field: "number",
    type: "quantitative",
    title: "trial",
    axis: { tickMinStep: 1, format: "d", grid: false },
  } as const;
  return {
    width: 600,
    height: 240,
    data: { values },
    layer: [
      {
        transform: [{ filter: "datum.best !== null" }],
        mark: { type: "line", interpolate: "step-after", color: INK, strokeWidth: 1.4, opacity: 0.7 },
        encoding: { x, y: { field: "best", type: "quantitative" } },
      },
      ...(["complete", "pruned"] as const).map((state) => ({
        transform: [{ filter: `datum.value !== null && datum.state === '${state}'` }],
        mark:
          state === "complete"
            ? { type: "point", filled: true, size: 46, opacity: 0.8 }
            : { type: "point", shape: "triangle-down", size: 44, strokeWidth: 1.4, opacity: 0.9 },
        encoding: {
          x,
          y: {
            field: "value",
            type: "quantitative",
            title: study.objective,
            scale: { zero: false, nice: true },
          },
          color: { field: "arm", type: "nominal", title: null, scale: ARM_SCALE },
        },
      })),
    ],
  } as PlotSpec;
}
