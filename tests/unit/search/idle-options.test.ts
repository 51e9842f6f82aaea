import { expect, test } from "vitest";
import { resolve } from "../../../src/config/resolve.js";
import { searchOptions } from "../../../src/config/schema.js";
import { idleOptions } from "../../../src/search/idle-options.js";

const idle = (given: object) => {
  const needed = { model: "m", train: "t", validation: "v", test: "x" };
  return idleOptions(resolve(searchOptions, { ...needed, ...given }).config, 100); // 3 epochs of 7 steps
};

test("options that change nothing beside the others are said", () => {
  expect(idle({})).toEqual([]);
  expect(idle({ evalStrategy: "no" })).toEqual([
    "pruner: median stops no trial, as none of 21 steps is scored before its end",
  ]);
  expect(idle({ evalStrategy: "no", pruner: "none" })).toEqual([]);
  expect(idle({ evalStrategy: "steps", evalSteps: 21 })).toHaveLength(1);
  expect(idle({ evalStrategy: "steps", evalSteps: 20 })).toEqual([]);
  expect(idle({ maxSteps: 1 })).toHaveLength(1);
  expect(idle({ numTrainEpochs: 1 })).toEqual([]);
  expect(idle({ numTrainEpochs: 1, earlyStoppingPatience: 1 })).toHaveLength(1); // scored after epochs then
  expect(idle({ metricForBestModel: "eval_loss" })).toEqual([
    expect.stringContaining("metric_for_best_model: eval_loss decides nothing"),
  ]);
  expect(idle({ metricForBestModel: "eval_loss", loadBestModelAtEnd: true })).toEqual([]);
  expect(idle({ metricForBestModel: "eval_loss", earlyStoppingPatience: 1 })).toEqual([]);
});
