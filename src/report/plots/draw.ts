/** Vega-Lite specification → SVG text, in Node, without a browser. */
import { setImmediate } from "node:timers/promises";
import type { TopLevelSpec } from "vega-lite";
import type { PlotSpec } from "./spec.js";
import { CONFIG } from "./theme.js";

/**
 * Vega and Vega-Lite are loaded at the first plot: 0.5 s that a search without a report need not wait for. Vega's own promises
 * are microtasks: without turns of the event loop between the steps a server would answer nobody until the last of five plots,
 * for 0.7 s; with them the longest gap is 0.1 s.
 */
export async function drawSvg(spec: PlotSpec): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import("vega"), import("vega-lite")]);
  await setImmediate();
  const compiled = vegaLite.compile({ ...spec, config: CONFIG } as unknown as TopLevelSpec, {
    logger: silent,
  });
  await setImmediate();
  const view = new vega.View(vega.parse(compiled.spec), { renderer: "none", logLevel: vega.None });
  try {
    await setImmediate();
    return shortened(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/** Coordinates to a hundredth of a pixel: 14 digits of them are a third of the file. Text is left alone. */
function shortened(svg: string): string {
  return svg.replace(/ (?:d|transform|[xy][12]?|width|height)="[^"]*"/g, (attribute) =>
    attribute.replace(/\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2)))),
  );
}

/** Vega-Lite warns of layered scales it merges; nothing here is for a user to act on. */
const silent = {
  level() {
    return silent;
  },
  error(...args: readonly unknown[]) {
    throw new Error(`plot: ${args.join(" ")}`);
  },
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
  // biome-ignore lint/suspicious/noExplicitAny: vega's logger type returns itself from setter and number from getter.
} as any;
