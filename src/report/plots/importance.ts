/** Forest plot: each group's association with its interval, one panel a question. */
import type {
  Association,
  GroupAssociations,
  LayerFindings,
  RankingMethod,
} from "../../analysis/findings.js";
import type { PlotSpec } from "./spec.js";
import { BLUE, GREY, INK, ORANGE } from "./theme.js";

const SHAPES = ["circle", "circle", "diamond"];
const KINDS = ["random arm, q < α", "random arm", "optimised arm (descriptive)"] as const;

export function importancePlot(layers: LayerFindings): PlotSpec {
  const kinds = KINDS.map((kind) => kind.replace("α", String(layers.alpha).replace(/^0/, "")));
  const panel = (
    title: string,
    axis: string,
    method: RankingMethod,
    read: (g: GroupAssociations) => Association,
    first: boolean,
  ) => {
    const values = layers.groups.flatMap((group) => {
      const inference = read(group.random);
      const descriptive = read(group.optimized);
      return [
        ...(inference.r === null
          ? []
          : [
              {
                group: group.group,
                r: inference.r,
                low: inference.ci?.low ?? null,
                high: inference.ci?.high ?? null,
                kind: (inference.q ?? 1) < layers.alpha ? kinds[0] : kinds[1],
              },
            ]),
        ...(descriptive.r === null
          ? []
          : [{ group: group.group, r: descriptive.r, low: null, high: null, kind: kinds[2] }]),
      ];
    });
    const y = {
      field: "group",
      type: "ordinal",
      title: null,
      scale: { domain: layers.groups.map((group) => group.group) },
      axis: { labels: first, grid: true, ticks: false, domain: false },
    } as const;
    const colour = {
      field: "kind",
      type: "nominal",
      title: null,
      scale: { domain: kinds, range: [ORANGE, BLUE, GREY] },
      legend: { orient: "bottom", direction: "horizontal", labelLimit: 240 },
    } as const;
    const x = (field: string) =>
      ({
        field,
        type: "quantitative",
        title: axis,
        scale: { domain: [-1, 1] },
        axis: { values: [-1, -0.5, 0, 0.5, 1], format: ".1f" },
      }) as const;
    const needed = layers.power.tests.flatMap(({ group, method: of, criticalR }) =>
      of === method && criticalR !== null ? [-criticalR, criticalR].map((at) => ({ group, at })) : [],
    );
    return {
      title,
      width: 270,
      height: { step: 24 },
      data: { values },
      layer: [
        {
          data: { values: [{}] },
          mark: { type: "rule", color: INK, opacity: 0.55 },
          encoding: { x: { datum: 0 } },
        },
        {
          data: { values: needed },
          mark: { type: "tick", color: INK, opacity: 0.4, thickness: 1.5, size: 14 },
          encoding: { x: x("at"), y },
        },
        {
          transform: [{ filter: "datum.low !== null" }],
          mark: { type: "rule", strokeWidth: 2 },
          encoding: { x: x("low"), x2: { field: "high" }, y, color: colour },
        },
        {
          mark: { type: "point", filled: true, opacity: 1 },
          encoding: {
            x: x("r"),
            y,
            color: colour,
            shape: { field: "kind", type: "nominal", title: null, scale: { domain: kinds, range: SHAPES } },
            size: { condition: { test: `datum.kind === '${kinds[2]}'`, value: 34 }, value: 70 },
          },
        },
      ],
    };
  };
  return {
    hconcat: [
      panel(
        "Frozen or not",
        "rank-biserial r   (+: better when frozen)",
        "frozen or not",
        (g) => g.frozen.rankBiserial,
        true,
      ),
      panel(
        "How fast, where trained",
        "r of log rate given the global one   (+: better when faster)",
        "rate given global",
        (g) => g.rate.partial,
        false,
      ),
    ],
    // By the panels alone: the legend below the first would push the second away.
    bounds: "flush",
    spacing: 40,
    resolve: { legend: { color: "shared", shape: "shared" }, scale: { color: "shared", shape: "shared" } },
  } as PlotSpec;
}
