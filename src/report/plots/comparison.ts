/** Winner beside baseline: test accuracy of each seed paired, and the difference with its interval. */
import type { Comparison } from "../../analysis/findings.js";
import type { PlotSpec } from "./spec.js";
import { BLUE, GREY, INK, ORANGE } from "./theme.js";

export function comparisonPlot({ winner, baseline, seeds, difference, verdict }: Comparison): PlotSpec {
  const names = [baseline.name, winner.name];
  const paired = seeds.flatMap((pair) => [
    { seed: pair.seed, arm: baseline.name, accuracy: pair.baseline * 100 },
    { seed: pair.seed, arm: winner.name, accuracy: pair.winner * 100 },
  ]);
  const means = [
    { arm: baseline.name, accuracy: baseline.test.mean * 100 },
    { arm: winner.name, accuracy: winner.test.mean * 100 },
  ];
  const arm = {
    field: "arm",
    type: "nominal",
    sort: names,
    title: null,
    axis: { labelAngle: 0, grid: false, labelLimit: 120 },
  } as const;
  const accuracy = {
    field: "accuracy",
    type: "quantitative",
    title: "test accuracy, %",
    scale: { zero: false, nice: true, padding: 8 },
  } as const;
  const rows = ["seeds", "mean"];
  // Room on both sides: a mark at the very edge looks cut off.
  const ends = [
    difference.ci.low,
    difference.ci.high,
    verdict.margin,
    -verdict.margin,
    ...seeds.map((s) => s.difference),
  ];
  const reach = 115 * Math.max(...ends.map(Math.abs));
  const y = {
    type: "nominal",
    title: null,
    scale: { domain: rows },
    axis: { grid: false, domain: false, ticks: false, labelLimit: 140 },
  } as const;
  const x = {
    type: "quantitative",
    title: `${winner.name} minus ${baseline.name}, points of test accuracy`,
    scale: { domain: [-reach, reach], nice: false },
  } as const;
  const interval = [
    {
      row: rows[1],
      low: difference.ci.low * 100,
      high: difference.ci.high * 100,
      mean: difference.mean * 100,
    },
  ];
  return {
    spacing: 36,
    hconcat: [
      {
        title: "Test accuracy, seeds paired",
        width: 190,
        height: 190,
        layer: [
          {
            data: { values: paired },
            mark: { type: "line", color: GREY, strokeWidth: 1, opacity: 0.7 },
            encoding: { x: arm, y: accuracy, detail: { field: "seed" } },
          },
          {
            data: { values: paired },
            mark: { type: "point", filled: true, size: 48, opacity: 0.85 },
            encoding: {
              x: arm,
              y: accuracy,
              color: {
                field: "arm",
                type: "nominal",
                legend: null,
                scale: { domain: names, range: [BLUE, ORANGE] },
              },
            },
          },
          {
            data: { values: means },
            mark: { type: "tick", color: INK, thickness: 2, width: 34 },
            encoding: { x: arm, y: accuracy },
          },
        ],
      },
      {
        title: "Difference",
        width: 300,
        height: 190,
        layer: [
          {
            data: { values: [{ low: -verdict.margin * 100, high: verdict.margin * 100 }] },
            mark: { type: "rect", color: GREY, opacity: 0.14 },
            encoding: { x: { field: "low", ...x }, x2: { field: "high" } },
          },
          {
            data: { values: [{}] },
            mark: { type: "rule", color: INK, opacity: 0.6 },
            encoding: { x: { datum: 0 } },
          },
          {
            data: { values: seeds.map((pair) => ({ row: rows[0], difference: pair.difference * 100 })) },
            mark: { type: "point", filled: true, color: GREY, size: 52, opacity: 0.7 },
            encoding: { x: { field: "difference", ...x }, y: { field: "row", ...y } },
          },
          {
            data: { values: interval },
            mark: { type: "rule", color: ORANGE, strokeWidth: 2.5 },
            encoding: { x: { field: "low", ...x }, x2: { field: "high" }, y: { field: "row", ...y } },
          },
          {
            data: { values: interval },
            mark: { type: "point", filled: true, color: ORANGE, size: 90, opacity: 1 },
            encoding: { x: { field: "mean", ...x }, y: { field: "row", ...y } },
          },
        ],
      },
    ],
  } as PlotSpec;
}
