/** One look for all plots. Text takes the page's colour (currentColor), marks use mid-tones: both work light and dark. */
import type { Config } from "vega-lite";
import type { Arm } from "../../study/types.js";

export const INK = "currentColor";
export const BLUE = "#3a7fc1";
export const ORANGE = "#dd7a33";
export const GREY = "#8a949e";

/** Arms in the order and colours of every plot. */
export const ARM_NAMES: Readonly<Record<Arm, string>> = {
  "warm-start": "warm start",
  random: "random",
  optimized: "optimised",
};
export const ARM_SCALE = {
  domain: Object.values(ARM_NAMES),
  range: [GREY, BLUE, ORANGE],
};

const font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

export const CONFIG: Config = {
  // Marks without an aria label each: the figure has one, and a hundred labels double the file.
  aria: false,
  background: "transparent",
  font,
  padding: 4,
  view: { stroke: null },
  axis: {
    labelColor: INK,
    titleColor: INK,
    titleFontWeight: "normal",
    titleFontSize: 12,
    labelFontSize: 11,
    titlePadding: 8,
    domainColor: GREY,
    tickColor: GREY,
    gridColor: GREY,
    gridOpacity: 0.18,
  },
  legend: {
    labelColor: INK,
    titleColor: INK,
    labelFontSize: 11,
    titleFontSize: 11,
    titleFontWeight: "normal",
    symbolSize: 70,
  },
  title: { color: INK, fontSize: 12, fontWeight: 600, anchor: "start", offset: 10 },
};
