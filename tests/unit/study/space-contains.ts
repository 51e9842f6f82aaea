import { activeDimensions } from "../../../src/study/space.js";
import type { Distribution, Params, ParamValue, Space } from "../../../src/study/types.js";

/** Whether `params` has exactly the active dimensions, each within its range. */
export function spaceContains(space: Space, params: Params): boolean {
  const active = activeDimensions(space, params);
  return (
    Object.keys(params).length === active.length &&
    active.every((d) => d.name in params && contains(d.distribution, params[d.name] as ParamValue))
  );
}

/** Whether an external value lies in the range and on its grid. */
function contains(d: Distribution, value: ParamValue): boolean {
  if (d.kind === "categorical") return d.choices.includes(value);
  if (typeof value !== "number" || !(value >= d.low && value <= d.high)) return false;
  if (d.kind === "int") return Number.isInteger(value) && (value - d.low) % (d.step ?? 1) === 0;
  if (d.step === undefined) return true;
  const steps = (value - d.low) / d.step;
  return Math.abs(steps - Math.round(steps)) < 1e-8; // Optuna's tolerance
}
