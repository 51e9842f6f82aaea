import { describe, expect, test } from "vitest";
import { nextGroup, stepCost } from "../../../src/search/grouping.js";
import { Rng } from "../../../src/study/rng.js";
import type { QueuedTrial } from "../../../src/study/study.js";
import type { Arm } from "../../../src/study/types.js";

const groups = ["embeddings", "layer.0", "layer.1", "layer.2", "head"];
const trial = (trialId: number, freezeTo: number, arm: Arm = "random", rate = 1e-4): QueuedTrial => ({
  trialId,
  arm,
  params: { freeze_to: freezeTo, learning_rate: rate, "lr.head": 1e-3 },
});

/** Every group in the order it would run. */
function run(queue: readonly QueuedTrial[], lanes: number): number[][] {
  const order: number[][] = [];
  let left = [...queue];
  for (;;) {
    const group = nextGroup(left, groups, lanes);
    if (group.length === 0) return order;
    order.push(group);
    left = left.filter((t) => !group.includes(t.trialId));
  }
}

describe("groups", () => {
  const queue = [
    ...[trial(0, 0, "warm-start"), trial(1, 4, "warm-start"), trial(2, 0, "warm-start")],
    ...[trial(3, 1), trial(4, 4), trial(5, 0), trial(6, 4), trial(7, 1)],
    ...[trial(8, 2, "optimized"), trial(9, 0, "optimized")],
  ];

  test("hold trials of one arm and of similar cost, the cheapest alone; the arms stay in order", () => {
    expect(run(queue, 2)).toEqual([[0, 2], [1], [5, 3], [6], [7, 4]]);
  });

  test("of one lane are the queue itself; of many, the arm", () => {
    expect(run(queue, 1).flat()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(run(queue, 9).map((group) => group.toSorted())).toEqual([
      [0, 1, 2],
      [3, 4, 5, 6, 7],
    ]);
  });

  test("which run first says nothing of their cost", () => {
    // 8 trials in 4 groups, some of equal cost, in 4000 orders: each group is first as often as any other.
    const first = [0, 0, 0, 0];
    const random = new Rng(1);
    const depths = [0, 0, 0, 1, 2, 2, 4, 4];
    for (let i = 0; i < 4000; i++) {
      const order = depths
        .map((freezeTo) => ({ freezeTo, key: random.uniform(), rate: random.uniform() }))
        .sort((a, b) => a.key - b.key);
      const queue = order.map(({ freezeTo, rate }, id) => trial(id, freezeTo, "random", rate));
      const depth = nextGroup(queue, groups, 2).reduce((sum, id) => sum + order[id]!.freezeTo, 0);
      first[[0, 1, 4, 8].indexOf(depth)]!++;
    }
    for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(750)); // 4 sd
  });
});

test("the cost of a step falls with the frozen prefix, and with frozen layers above it", () => {
  const cost = (...trains: number[]) =>
    stepCost({
      embeddings: trains[0]!,
      "layer.0": trains[1]!,
      "layer.1": trains[2]!,
      "layer.2": trains[3]!,
      head: 1,
    });
  expect(cost(0, 0, 0, 0)).toBe(0);
  expect([cost(0, 0, 0, 1), cost(0, 0, 1, 1), cost(0, 1, 1, 1)]).toEqual([2, 5, 8]);
  expect(cost(0, 1, 0, 1)).toBe(7);
});
