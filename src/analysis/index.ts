/** Records in, findings out. Knows nothing of studies, training or reports. */
export { type CompareOptions, compareAll, compareArms, compareInPieces, summarise } from "./compare.js";
export type * from "./findings.js";
export { type AnalyseOptions, analyseInPieces, analyseLayers, type LayerContext } from "./layers.js";
export { bestTrials, history, paretoFront } from "./pareto.js";
export { accuracyStandardError, criticalCorrelation, expectedMaximum, powerStatement } from "./power.js";
export type * from "./types.js";
