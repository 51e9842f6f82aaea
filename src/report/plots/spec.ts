/** A plot is a Vega-Lite specification: plain data, drawn later and elsewhere (`draw.ts`). */

/**
 * Ours and not Vega-Lite's `TopLevelSpec`: a document is public, and Vega's types ask for a browser's (`lib: dom`), which
 * whoever imports ours would then need. What is wrong in a plot is found when it is drawn.
 */
export interface PlotSpec {
  readonly [key: string]: Json;
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
