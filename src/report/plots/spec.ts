/** A plot is a Vega-Lite specification: plain data, drawn later and elsewhere (`draw.ts`). */
import type { TopLevelSpec } from "vega-lite";

export type PlotSpec = TopLevelSpec;
