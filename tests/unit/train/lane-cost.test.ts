import { expect, test } from "vitest";
import type { PlanRequest } from "../../../src/native/contract.js";
import type { NativeSession } from "../../../src/native/session.js";
import { laneCost } from "../../../src/train/lane-cost.js";

// An epoch of three steps: 90 FLOPs with its frozen prefix, 30 without.
const session = {
  describePlan: ({ cached }: PlanRequest) => ({ flops: cached ? 30 : 90, trainedParameters: 7 }),
} as unknown as NativeSession;
const cost = (cache: "auto" | "off") =>
  laneCost(session, 0, Int32Array.of(4, 5, 6), { stepsPerEpoch: 3, cache });

test("the prefix counts in the first epoch, whether there is a cache or not", () => {
  for (const cache of ["auto", "off"] as const)
    expect([0, 1, 3, 4, 9].map(cost(cache).flops)).toEqual([0, 30, 90, 100, 150]);
  expect(cost("auto").trainedParameters).toBe(7);
});

test("what steps run: with a cache what they cost, without one the prefix each time", () => {
  expect([cost("auto").work(0, 2), cost("auto").work(2, 4), cost("auto").work(5, 9)]).toEqual([60, 40, 40]);
  expect([cost("off").work(0, 2), cost("off").work(5, 9)]).toEqual([60, 120]);
});
