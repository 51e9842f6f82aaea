import { expect, test } from "vitest";
import { bertTensors, groupOf, groupsOf, hasWeightDecay } from "../../../src/models/bert.js";
import { initialiseModel } from "../../../src/models/init.js";
import type { ModelFolder } from "../../../src/models/types.js";
import { philox } from "../../../src/random/philox.js";
import { TINY, tinyTensors } from "./tiny.js";

const folder = (labels: readonly string[] | null, hidden = 8): ModelFolder => ({
  path: "m",
  config: { ...TINY, hidden_size: hidden },
  rawConfig: {},
  tensors: new Map(tinyTensors(labels?.length ?? 0).map((tensor) => [tensor.name, tensor])),
  labels,
  pooling: "cls",
  maxLength: null,
  notices: [],
});

test("Philox 4x32-10 gives the published values", () => {
  const hex = (words: readonly number[]) => words.map((word) => word.toString(16));
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toEqual(["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]);
  expect(hex(philox([-1, -1, -1, -1], [-1, -1]))).toEqual(["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]);
  expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toEqual([
    "d16cfe09",
    "94fdcceb",
    "5001e420",
    "24126ea1",
  ]);
});

test("new weights are normal(0, initializer_range), biases zero, and repeat", () => {
  const classes = Array.from({ length: 5000 }, (_, i) => `c${i}`);
  const { tensors, notice } = initialiseModel(folder(null), classes, 42);
  const { data } = tensors.get("classifier.weight")!;
  expect(data.length).toBe(40_000);
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const moment = (k: number) => data.reduce((sum, x) => sum + (x / 0.02) ** k, 0) / data.length;
  expect(Math.abs(mean)).toBeLessThan(5e-4); // sd of the mean 1e-4
  expect(moment(2)).toBeCloseTo(1, 1);
  expect(Math.abs(moment(4) - 3)).toBeLessThan(0.3);
  expect(tensors.get("classifier.bias")?.data.every((x) => x === 0)).toBe(true);
  expect(notice).toBe("newly initialised, not in m: classifier.weight, classifier.bias");
  expect(initialiseModel(folder(null), classes, 42).tensors.get("classifier.weight")?.data).toEqual(data);
  const other = initialiseModel(folder(null), classes, 43).tensors.get("classifier.weight")!.data;
  expect([...other].filter((x, i) => x === data[i]).length).toBe(0);
});

test("the first values are pinned: a seed must mean the same model everywhere", () => {
  const { data } = initialiseModel(folder(null), ["a", "b"], 7).tensors.get("classifier.weight")!;
  const expected = [0.022778004, -0.03766705, -0.03014277, 0.006419615];
  for (const [i, value] of expected.entries()) expect(data[i]).toBeCloseTo(value, 8);
});

test("a classifier is kept exactly when its class names are the same", () => {
  const own = folder(["no", "yes"]);
  const kept = initialiseModel(own, ["no", "yes"], 1);
  expect([kept.initialised, kept.notice]).toEqual([[], null]);
  expect(kept.tensors.get("classifier.weight")).toBe(own.tensors.get("classifier.weight"));
  for (const labels of [
    ["yes", "no"],
    ["a", "b"],
    ["no", "yes", "maybe"],
  ]) {
    const replaced = initialiseModel(own, labels, 1);
    expect(replaced.initialised).toEqual(["classifier.weight", "classifier.bias"]);
    expect(replaced.notice).toContain("the classifier there has other classes: no, yes");
  }
});

test("groups and weight decay", () => {
  const specs = bertTensors(TINY, 3, "cls");
  expect([...new Set(specs.map(({ group }) => group))]).toEqual(groupsOf(TINY));
  expect(groupsOf(TINY)).toEqual(["embeddings", "layer.0", "layer.1", "head"]);
  expect(groupOf("encoder.layer.11.output.dense.bias")).toBe("layer.11");
  expect(groupOf("pooler.dense.weight")).toBe("head");
  expect(specs.filter(({ decay }) => !decay).every(({ name }) => /bias$|LayerNorm/.test(name))).toBe(true);
  expect(specs.filter(({ decay }) => decay).every(({ shape }) => shape.length === 2)).toBe(true);
  // Hugging Face's own patterns (transformers 5.18, Trainer): these and no others.
  for (const name of ["a.norm.weight", "q_norm.weight", "LayerNorm.weight", "rmsnorm.weight", "x.bias"]) {
    expect(hasWeightDecay(name)).toBe(false);
  }
  expect(hasWeightDecay("a.normal.weight")).toBe(true);
});
