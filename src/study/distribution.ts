/**
 * One dimension's range: which values it contains, how it is stored, when two are the same dimension.
 *
 * External value: what the objective sees (number, string, boolean, null). Internal: the number Optuna keeps in
 * `trial_params.param_value`: the float itself, the integer, or the index of the choice.
 */

import { ConfigError, type Issue } from "../errors.js";
import type { Distribution, ParamValue } from "./types.js";

/** What is wrong with a range. Empty when nothing is. @param path where it was written, for the message. */
export function distributionIssues(d: Distribution, path: string): Issue[] {
  const issues: Issue[] = [];
  const expect = (ok: boolean, key: string, expected: string, received: unknown) => {
    if (!ok)
      issues.push({ path: `${path}.${key}`, expected, received: JSON.stringify(received) ?? "nothing" });
  };
  if (d.kind === "categorical") {
    expect(d.choices.length > 0, "choices", "at least one choice", d.choices);
    expect(new Set(d.choices).size === d.choices.length, "choices", "different choices", d.choices);
    const bad = d.choices.find((c) => typeof c === "number" && !Number.isFinite(c));
    expect(bad === undefined, "choices", "finite numbers", String(bad));
    return issues;
  }
  const { low, high, step, log = false } = d;
  const whole = d.kind === "int";
  const isNumber = (x: number) => (whole ? Number.isSafeInteger(x) : Number.isFinite(x));
  const noun = whole ? "an integer" : "a finite number";
  expect(isNumber(low), "low", noun, low);
  expect(isNumber(high), "high", noun, high);
  expect(!(low > high), "low", `at most high (${high})`, low);
  if (log) expect(whole ? low >= 1 : low > 0, "low", whole ? "≥ 1 with log" : "> 0 with log", low);
  if (step !== undefined) {
    expect(isNumber(step) && step > 0, "step", `${noun} > 0`, step);
    if (log) expect(whole && step === 1, "step", whole ? "1 with log" : "no step with log", step);
  }
  return issues;
}

/** Same range with `high` on the grid of `step`, as Optuna stores it. Leaves everything else as it is. */
export function normalized<D extends Distribution>(d: D): D {
  if (d.kind === "categorical" || d.step === undefined) return d;
  const steps = wholeSteps((d.high - d.low) / d.step);
  const high = d.kind === "int" ? d.low + steps * d.step : decimal(d.low + steps * d.step);
  return high === d.high ? d : { ...d, high };
}

/** True when only one value is possible: nothing to search. */
export function isSingle(d: Distribution): boolean {
  if (d.kind === "categorical") return d.choices.length === 1;
  if (d.low === d.high) return true;
  const step = d.step ?? (d.kind === "int" && !d.log ? 1 : undefined);
  return step !== undefined && wholeSteps((d.high - d.low) / step) < 1;
}

/** The first value of the range: the only one when `isSingle`. */
export function firstValue(d: Distribution): ParamValue {
  return d.kind === "categorical" ? (d.choices[0] ?? null) : d.low;
}

/**
 * @throws ConfigError when the value has no internal form: an unknown choice, not a number, ≤ 0 with log. A number out of
 *         range has one: enqueued trials may leave the range, as in Optuna.
 */
export function toInternal(d: Distribution, value: ParamValue, name: string): number {
  const refuse = (expected: string) =>
    new ConfigError("ERR_PARAM", "A parameter value does not fit its dimension", [
      { path: name, expected, received: JSON.stringify(value) ?? String(value) },
    ]);
  if (d.kind === "categorical") {
    const index = d.choices.indexOf(value);
    if (index < 0) throw refuse(`one of ${JSON.stringify(d.choices)}`);
    return index;
  }
  if (typeof value !== "number" || !Number.isFinite(value)) throw refuse("a finite number");
  if (d.log && value <= 0) throw refuse("a number > 0 (log scale)");
  if (d.kind === "int" && !Number.isInteger(value)) throw refuse("an integer");
  return value;
}

/** The external value of an internal one. An index without a choice gives null: the row was written by something else. */
export function toExternal(d: Distribution, internal: number): ParamValue {
  if (d.kind === "categorical") return d.choices[Math.trunc(internal)] ?? null;
  return d.kind === "int" ? Math.trunc(internal) : internal;
}

/**
 * The rule across trials of one study: same kind, same log, identical choices. Ranges and steps may change.
 *
 * @throws ConfigError otherwise, as Optuna raises ValueError.
 */
export function checkCompatible(name: string, before: Distribution, now: Distribution): void {
  const refuse = (expected: string, received: string) =>
    new ConfigError("ERR_SPACE_CHANGED", "A dimension changed within one study", [
      { path: name, expected, received, hint: "start a new study for a new space" },
    ]);
  if (before.kind !== now.kind) throw refuse(`kind ${before.kind}`, `kind ${now.kind}`);
  if (before.kind === "categorical" || now.kind === "categorical") {
    if (before.kind !== "categorical" || now.kind !== "categorical") return;
    const [a, b] = [before.choices, now.choices];
    if (a.length !== b.length || a.some((choice, i) => choice !== b[i])) {
      throw refuse(`choices ${JSON.stringify(a)}`, JSON.stringify(b));
    }
    return;
  }
  if ((before.log ?? false) !== (now.log ?? false)) {
    throw refuse(before.log ? "log scale" : "linear scale", now.log ? "log scale" : "linear scale");
  }
}

/** Floor, forgiving the rounding of (high − low) / step: 0.3 / 0.1 is three steps. */
const wholeSteps = (x: number) => (Math.abs(x - Math.round(x)) < 1e-9 ? Math.round(x) : Math.floor(x));

/** 0.1 + 2 × 0.1 → 0.3: the nearest number with 15 digits, what Optuna's decimal arithmetic gives. */
const decimal = (x: number) => Number(x.toPrecision(15));
