/** Findings in, documents out. Knows the findings of the analysis and nothing else of the program. */
export { buildReport } from "./build.js";
export type * from "./document.js";
export type * from "./findings.js";
export { renderHtml } from "./html.js";
export { REPORT_FORMAT, renderJson } from "./json.js";
export { renderMarkdown } from "./markdown.js";
export { parseReport } from "./parse.js";
export { renderTerminal, type TerminalOptions } from "./terminal.js";
