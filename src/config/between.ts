/** What options say of each other. */
import type { Issue } from "../errors.js";
import { camelCase } from "./option.js";

/**
 * @param config by camelCase names, whichever command's; without those that are wrong by themselves.
 * @returns issues with the options' own names, in the path as in the text.
 */
export function conflicts(config: Readonly<Record<string, unknown>>): (Issue & { readonly hint: string })[] {
  const value = (name: string) => config[camelCase(name)];
  if (value("early_stopping_patience") === undefined || value("eval_strategy") !== "no") return [];
  return [
    {
      path: "early_stopping_patience",
      expected: "evaluations to count",
      received: "eval_strategy no",
      hint: "eval_strategy epoch or steps",
    },
  ];
}
