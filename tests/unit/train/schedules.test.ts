import { describe, expect, test } from "vitest";
import { argmaxRows, better, scores, softmax } from "../../../src/train/metrics.js";
import { scheduleFactor, warmupSteps } from "../../../src/train/schedules.js";

describe("schedules, against values of transformers.get_scheduler", () => {
  // 10 steps, 3 of warm-up
  test.each([
    ["linear", [0, 1 / 3, 2 / 3, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]],
    ["constant_with_warmup", [0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1]],
    ["constant", [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]],
    [
      "cosine",
      [
        0,
        1 / 3,
        2 / 3,
        1,
        0.9504844339512095,
        0.8117449009293668,
        0.6112604669781572,
        0.38873953302184283,
        0.1882550990706332,
        0.04951556604879043,
      ],
    ],
  ] as const)("%s", (name, expected) => {
    for (const [step, factor] of expected.entries())
      expect(scheduleFactor(name, step, 10, 3)).toBeCloseTo(factor, 12);
  });

  test("warm-up: ≥ 1 is steps, below 1 a share rounded up", () => {
    expect([warmupSteps(0, 120), warmupSteps(0.1, 120), warmupSteps(0.1, 121), warmupSteps(7, 120)]).toEqual([
      0, 12, 13, 7,
    ]);
  });
});

test("metrics", () => {
  const logits = Float32Array.from([1, 2, 0, 3, 3, -1]);
  expect([...argmaxRows(logits, 3)]).toEqual([1, 0]);
  expect(scores(logits, Float32Array.from([0.5, 1.5]), Int32Array.from([1, 1]), 3)).toEqual({
    accuracy: 0.5,
    loss: 1,
  });
  const p = softmax(Float32Array.from([1000, 1000, -1000]));
  expect([...p]).toEqual([0.5, 0.5, 0]);
  const [a, b] = [
    { accuracy: 0.9, loss: 1 },
    { accuracy: 0.9, loss: 2 },
  ];
  expect([better(a, b, "accuracy"), better(b, a, "accuracy"), better(a, a, "eval_loss")]).toEqual([
    true,
    false,
    false,
  ]);
  // A threshold is of the metric: the loss has other units.
  expect([better(b, a, "accuracy", 0.01), better(a, b, "accuracy", 0.01)]).toEqual([false, false]);
  expect(
    [0.51, 0.52].map((accuracy) => better({ ...a, accuracy }, { ...a, accuracy: 0.5 }, "accuracy", 0.015)),
  ).toEqual([false, true]);
});
