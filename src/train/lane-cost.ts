import type { PlanDescription } from "../native/contract.js";
import type { NativeSession } from "../native/session.js";

/** What a lane's training takes, by its plan's formula. */
export interface LaneCost {
  /** Parameters that receive updates. */
  readonly trainedParameters: number;
  /**
   * FLOPs of the first `steps` steps, with the frozen prefix once a row: as with a cache that is empty at the beginning. So a
   * configuration costs the same alone, beside others and after them, and whatever the cache holds: search and report compare
   * costs. What was really computed is in `Trainer.totals`.
   */
  flops(steps: number): number;
  /** FLOPs of steps `from` to `to` by that reckoning, or with the cache off, where each runs the prefix. Lanes share time by them. */
  work(from: number, to: number): number;
}

/** @param lengths tokens of each training row. */
export function laneCost(
  session: NativeSession,
  lane: number,
  lengths: Int32Array,
  { stepsPerEpoch, cache }: { readonly stepsPerEpoch: number; readonly cache: "auto" | "off" },
): LaneCost {
  const plan = (cached: boolean): PlanDescription => session.describePlan({ lane, lengths, cached });
  const { flops: whole, trainedParameters } = plan(false);
  const { flops: cached } = plan(true);
  // FLOPs are linear in tokens, rows and squared lengths, so an epoch costs what its rows cost as one batch.
  const flops = (steps: number) => {
    const epochs = steps / stepsPerEpoch;
    return cached * epochs + (whole - cached) * Math.min(1, epochs);
  };
  return {
    trainedParameters,
    flops,
    work: (from, to) => (cache === "off" ? (whole * (to - from)) / stepsPerEpoch : flops(to) - flops(from)),
  };
}
