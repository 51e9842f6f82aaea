/**
 * The one tolerance of the numerics tests: our error against float64 may be twice that of plain float32, and no number here
 * is ever raised to make a test pass.
 *
 *   max |ours - x64| ≤ 2·max |x32 - x64| + FLOOR·largest |x64|        the same for the root mean square, with rms(x64)
 *
 * Plain float32 is torch in the variants of oracle.py (the largest of them). The floor covers what cancels in torch by luck:
 * 2 ulps of float32 at the size of the tensor. The exact gradient of an attention key bias is zero, so its size is that of
 * the same layer's key weight gradient (written so into the fixture), and updated key biases are not compared at all: Adam
 * turns their rounding noise into full-size steps.
 */
import type { SampledTolerance, Tolerance } from "./read.js";

export const FLOOR = 2 * 2 ** -23;

export interface Errors {
  readonly max: number;
  readonly rms: number;
  /** Flat index of the largest error. */
  readonly at: number;
}

/** A difference that is NaN counts as the largest: the first of them is `max`, wherever it stands. */
export function errorsOf(ours: ArrayLike<number>, reference: ArrayLike<number>): Errors {
  let max = 0;
  let at = 0;
  let sum = 0;
  for (let i = 0; i < reference.length; i++) {
    const d = Math.abs(ours[i]! - reference[i]!);
    sum += d * d;
    if (d > max || (Number.isNaN(d) && !Number.isNaN(max))) {
      max = d;
      at = i;
    }
  }
  return { max, rms: Math.sqrt(sum / Math.max(1, reference.length)), at };
}

/** One line about what is out of bounds, or null. */
export function mismatch(
  name: string,
  ours: ArrayLike<number>,
  reference: ArrayLike<number>,
  tolerance: Tolerance,
): string | null {
  if (ours.length !== reference.length) {
    return `${name}: expected ${reference.length} values, received ${ours.length}`;
  }
  const errors = errorsOf(ours, reference);
  const maxBound = 2 * tolerance.max + FLOOR * tolerance.largest;
  const rmsBound = 2 * tolerance.rms + FLOOR * tolerance.typical;
  if (errors.max <= maxBound && errors.rms <= rmsBound) return null;
  return (
    `${name}: max error ${errors.max.toExponential(3)} (bound ${maxBound.toExponential(3)}) at [${errors.at}]: ` +
    `${ours[errors.at]} for ${reference[errors.at]}; rms error ${errors.rms.toExponential(3)} (bound ${rmsBound.toExponential(3)})`
  );
}

/** The same for one number of a series (losses of steps), `error` being plain float32's. */
export function scalarMismatch(name: string, ours: number, reference: number, error: number): string | null {
  const bound = 2 * error + FLOOR * Math.abs(reference);
  const difference = Math.abs(ours - reference);
  if (difference <= bound) return null;
  return `${name}: ${ours} for ${reference}, error ${difference.toExponential(3)} (bound ${bound.toExponential(3)})`;
}

/** Norm of a whole tensor: it may differ by no more than the norm of an error of the size the rule allows. */
export function normMismatch(
  name: string,
  ours: ArrayLike<number>,
  tolerance: SampledTolerance,
): string | null {
  if (ours.length !== tolerance.count)
    return `${name}: expected ${tolerance.count} values, received ${ours.length}`;
  let sum = 0;
  for (let i = 0; i < ours.length; i++) sum += ours[i]! ** 2;
  const difference = Math.abs(Math.sqrt(sum) - tolerance.norm);
  const bound = Math.sqrt(tolerance.count) * (2 * tolerance.whole_rms + FLOOR * tolerance.typical);
  if (difference <= bound) return null;
  return `norm of ${name}: ${Math.sqrt(sum)} for ${tolerance.norm}, error ${difference.toExponential(3)} (bound ${bound.toExponential(3)})`;
}

export const isKeyBias = (name: string) => name.endsWith("attention.self.key.bias");

/**
 * Collects mismatches in the order of computation, so that the first line is the first thing that went wrong.
 * `report()` is what a test expects to be empty.
 */
export class Comparison {
  readonly #lines: string[] = [];
  #compared = 0;

  add(line: string | null): void {
    this.#compared++;
    if (line !== null) this.#lines.push(line);
  }

  report(): string {
    if (this.#compared === 0) return "nothing was compared";
    if (this.#lines.length === 0) return "";
    const shown = this.#lines.slice(0, 8).join("\n  ");
    return `${this.#lines.length} of ${this.#compared} out of bounds; the first:\n  ${shown}`;
  }
}
