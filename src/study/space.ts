/**
 * A space: dimensions in order, some of which exist only when earlier ones say so.
 */

import { ConfigError, type Issue } from "../errors.js";
import { checkCompatible, distributionIssues, toInternal } from "./distribution.js";
import type { Dimension, Distribution, Params, ParamValue, Space, TrialRecord } from "./types.js";

/** Optuna's limit on the length of a parameter name. */
const LONGEST_NAME = 512;

/** @throws ConfigError listing every problem: duplicate names, empty ranges, log of zero. */
export function validateSpace(space: Space): void {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const { name, distribution } of space) {
    if (name === "" || name.length > LONGEST_NAME || name.includes("\0")) {
      const received = JSON.stringify(name.slice(0, 40));
      issues.push({ path: "name", expected: `1 to ${LONGEST_NAME} characters without NUL`, received });
    }
    if (seen.has(name)) issues.push({ path: name, expected: "a name used once", received: "a second one" });
    seen.add(name);
    issues.push(...distributionIssues(distribution, name));
  }
  if (issues.length > 0) {
    throw new ConfigError(
      "ERR_SPACE",
      `The search space has ${issues.length} problem${issues.length > 1 ? "s" : ""}`,
      issues,
    );
  }
}

/**
 * Decides the dimensions in order. `decide` is called only for those that exist given the values before them.
 *
 * @returns one value per active dimension, frozen.
 */
export function walk(space: Space, decide: (dimension: Dimension) => ParamValue): Params {
  const params: Record<string, ParamValue> = {};
  for (const dimension of space) {
    if (dimension.when && !dimension.when(params)) continue;
    params[dimension.name] = decide(dimension);
  }
  return Object.freeze(params);
}

/** The dimensions that exist under `params`, in order. */
export function activeDimensions(space: Space, params: Params): Dimension[] {
  const active: Dimension[] = [];
  const decided: Record<string, ParamValue> = {};
  for (const dimension of space) {
    if (dimension.when && !dimension.when(decided)) continue;
    active.push(dimension);
    decided[dimension.name] = params[dimension.name] ?? null;
  }
  return active;
}

/** The active dimensions' distributions by name: what is stored beside a trial's params. */
export function distributionsOf(space: Space, params: Params): Record<string, Distribution> {
  return Object.fromEntries(activeDimensions(space, params).map((d) => [d.name, d.distribution]));
}

/** Why a value cannot be of its dimension (`toInternal`); null where all can. Names that the space does not have are ignored. */
export function unfitValue(space: Space, params: Params): string | null {
  for (const { name, distribution } of space) {
    if (!(name in params)) continue;
    try {
      toInternal(distribution, params[name] as ParamValue, name);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const [issue] = error.issues;
      return `${name}: expected ${issue!.expected}, received ${issue!.received}`;
    }
  }
  return null;
}

/**
 * Refuses a space that contradicts what the study already holds (`checkCompatible`).
 *
 * @throws ConfigError naming the dimension.
 */
export function checkSpaceAgainst(space: Space, history: readonly TrialRecord[]): void {
  for (const record of history) {
    for (const { name, distribution } of space) {
      const before = record.distributions[name];
      if (before) checkCompatible(name, before, distribution);
    }
  }
}
