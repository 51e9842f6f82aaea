import { expect, test } from "vitest";
import { lanesOf } from "../../../src/search/lanes.js";

const task = {
  folder: { config: { hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12 } },
  native: { description: { parameters: 110e6 } },
  maxLength: 128,
} as unknown as Parameters<typeof lanesOf>[1];
const config = { lanes: undefined, threads: 64, perDeviceTrainBatchSize: 16 };

test("a lane a thread, as many as half of the memory holds, one at least", () => {
  // BERT-base: 1.76 GB of weights, moments and gradients, and .75 GB of activations.
  expect(lanesOf(config, task, 64e9)).toBe(12);
  expect(lanesOf({ ...config, threads: 4 }, task, 64e9)).toBe(4);
  expect(lanesOf({ ...config, perDeviceTrainBatchSize: 64 }, task, 64e9)).toBe(6);
  expect(lanesOf(config, task, 1e9)).toBe(1);
});

test("as many as were asked for, whatever they take", () => {
  expect(lanesOf({ ...config, lanes: 40 }, task, 1e9)).toBe(40);
});
