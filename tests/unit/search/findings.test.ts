import { expect, test } from "vitest";
import { layerTrial } from "../../../src/search/findings.js";
import type { TrialRecord } from "../../../src/study/types.js";

const groups = ["embeddings", "layer.0", "head"];
const record = (over: Partial<TrialRecord>): TrialRecord => ({
  ...{
    trialId: 1,
    number: 4,
    state: "COMPLETE",
    value: 0.5,
    distributions: {},
    intermediateValues: new Map(),
  },
  ...{ datetimeStart: null, datetimeComplete: null, systemAttrs: {}, userAttrs: { arm: "random" } },
  params: { learning_rate: 1e-4, "lr.head": 1e-3, freeze_to: 1, "lr_offset.layer.0": 0.5 },
  ...over,
});
const rates = { embeddings: 0, "layer.0": 1e-4, head: 1e-3 };

test("a trial that was given up, lost too often, is one without a value, not one that never was", () => {
  expect(layerTrial(record({ state: "FAIL", value: null }), groups)).toMatchObject({
    ...{ number: 4, arm: "random", state: "FAIL", value: null, rates, globalRate: 1e-4 },
    cost: { seconds: 0, flops: 0, trainedParameters: 0 },
  });
});

test("what did not run here is left out: another program's trial, one with values that cannot be, one that is not over", () => {
  expect(layerTrial(record({}), groups)).toBeNull();
  expect(layerTrial(record({ state: "FAIL", value: null, params: {} }), groups)).toBeNull();
  expect(layerTrial(record({ state: "RUNNING", value: null, userAttrs: { rates } }), groups)).toBeNull();
  expect(layerTrial(record({ userAttrs: { arm: "random", rates } }), groups)).toMatchObject({ value: 0.5 });
});
