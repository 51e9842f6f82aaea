import { createRequire } from "node:module";

/** Of the package: known also where the core does not load. */
export function packageVersion(): string {
  return (createRequire(import.meta.url)("../../package.json") as { version: string }).version;
}
