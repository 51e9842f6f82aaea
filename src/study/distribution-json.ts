/**
 * `trial_params.distribution_json`: Optuna's exact text, and every form it ever wrote.
 */

import { StoreError } from "../errors.js";
import { normalized } from "./distribution.js";
import { pythonFloat, readJson, writeJson } from "./json.js";
import type { Distribution, ParamValue } from "./types.js";

/** The text Optuna 5 writes for the same dimension, character for character (key order included). */
export function distributionToJson(distribution: Distribution): string {
  const d = normalized(distribution);
  const log = String(d.kind !== "categorical" && (d.log ?? false));
  switch (d.kind) {
    case "float": {
      const step = d.step === undefined ? "null" : pythonFloat(d.step);
      const range = `"low": ${pythonFloat(d.low)}, "high": ${pythonFloat(d.high)}`;
      return `{"name": "FloatDistribution", "attributes": {"step": ${step}, ${range}, "log": ${log}}}`;
    }
    case "int": {
      const range = `"low": ${d.low}, "high": ${d.high}`;
      return `{"name": "IntDistribution", "attributes": {"log": ${log}, "step": ${d.step ?? 1}, ${range}}}`;
    }
    case "categorical": {
      const choices = writeJson(d.choices, "choices");
      return `{"name": "CategoricalDistribution", "attributes": {"choices": ${choices}}}`;
    }
  }
}

/**
 * Reads any distribution Optuna wrote: the three of today, the five older names, and the abbreviated `{"type": …}`.
 *
 * @throws StoreError naming what was found.
 */
export function distributionFromJson(text: string): Distribution {
  try {
    const document = readJson(text) as Record<string, unknown>;
    const attributes = (document.attributes ?? document) as Record<string, unknown>;
    return build(String(document.name ?? document.type), attributes);
  } catch (cause) {
    throw new StoreError(
      "ERR_STORE_DISTRIBUTION",
      "A parameter's distribution in the study cannot be read",
      [{ path: "trial_params.distribution_json", expected: "a distribution of Optuna", received: text }],
      { cause },
    );
  }
}

function build(name: string, a: Record<string, unknown>): Distribution {
  const number = (key: string): number => {
    const value = a[key];
    if (typeof value !== "number" && typeof value !== "bigint") throw new TypeError(`${key} is not a number`);
    return Number(value);
  };
  const range = () => ({ low: number("low"), high: number("high") });
  const step = (key: string) => (a[key] === undefined || a[key] === null ? {} : { step: number(key) });
  const log = (on: boolean) => (on ? { log: true } : {});
  // An integer's step of 1 is the default and left out, so that equal dimensions compare equal.
  const intStep = () => (step("step").step === 1 ? {} : step("step"));
  switch (name) {
    case "FloatDistribution":
    case "float":
      return { kind: "float", ...range(), ...log(a.log === true), ...step("step") };
    case "UniformDistribution":
      return { kind: "float", ...range() };
    case "LogUniformDistribution":
      return { kind: "float", ...range(), log: true };
    case "DiscreteUniformDistribution":
      return { kind: "float", ...range(), ...step("q") };
    case "IntDistribution":
    case "int":
      return { kind: "int", ...range(), ...log(a.log === true), ...intStep() };
    case "IntUniformDistribution":
      return { kind: "int", ...range(), ...intStep() };
    case "IntLogUniformDistribution":
      return { kind: "int", ...range(), log: true };
    case "CategoricalDistribution":
    case "categorical":
      if (!Array.isArray(a.choices)) throw new TypeError("choices is not a list");
      return { kind: "categorical", choices: a.choices as ParamValue[] };
    default:
      throw new TypeError(`unknown distribution ${name}`);
  }
}
