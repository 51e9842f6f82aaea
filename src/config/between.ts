/** What options say of each other, once each is right by itself. */
import type { Issue } from "../errors.js";
import { camelCase } from "./option.js";

/** @param config by camelCase names, whichever command's. @returns issues whose paths are names of options. */
export function conflicts(config: Readonly<Record<string, unknown>>): Issue[] {
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
