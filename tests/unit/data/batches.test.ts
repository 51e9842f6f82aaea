import { expect, test } from "vitest";
import { type BatchOptions, batches, EpochOrders, epochOrder, numSteps } from "../../../src/data/batches.js";

const options: BatchOptions = { rows: 103, batchSize: 10, strategy: "random", seed: 42 };

test("each epoch has every row once, the last batch is short", () => {
  for (const epoch of [0, 1, 7]) {
    const rows = [...batches(options, epoch * 11, epoch * 11 + 11)];
    expect(rows.map((batch) => batch.length)).toEqual([...Array(10).fill(10), 3]);
    const all = rows.flatMap((batch) => [...batch]).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 103 }, (_, i) => i));
  }
});

test("any step can be asked for alone: resuming in mid-epoch gives the same batches", () => {
  const whole = [...batches(options, 0, 40)];
  for (const from of [0, 1, 10, 11, 25, 39])
    expect([...batches(options, from, 40)]).toEqual(whole.slice(from));
  expect(whole.flatMap((_, step) => [...batches(options, step, step + 1)])).toEqual(whole);
});

test("the order of an epoch is made once for each seed, however the steps are asked for", () => {
  const orders = new EpochOrders();
  const other = { ...options, seed: 7 };
  const first = orders.of(options, 0);
  expect(orders.of(other, 0)).toEqual(epochOrder(other, 0));
  expect(orders.of(options, 0)).toBe(first);
  expect(orders.of(options, 1)).toEqual(epochOrder(options, 1));
  const asked = Array.from({ length: 40 }, (_, step) => [...batches(options, step, step + 1, orders)]).flat();
  expect(asked).toEqual([...batches(options, 0, 40)]);
});

test("seed and epoch change the order, nothing else does", () => {
  expect(epochOrder(options, 0)).toEqual(epochOrder({ ...options, batchSize: 3 }, 0));
  expect(epochOrder(options, 0)).not.toEqual(epochOrder(options, 1));
  expect(epochOrder(options, 0)).not.toEqual(epochOrder({ ...options, seed: 43 }, 0));
  // Pinned: a stored study must resume with the order it began with, on every platform.
  expect([...epochOrder({ ...options, rows: 8 }, 3)]).toEqual([1, 7, 3, 2, 0, 6, 5, 4]);
});

test("sequential is the order of the file", () => {
  expect([...epochOrder({ ...options, rows: 4, strategy: "sequential" }, 5)]).toEqual([0, 1, 2, 3]);
});

test("orders are uniform: each row comes first about as often", () => {
  const first = new Array<number>(5).fill(0);
  for (let seed = 0; seed < 5000; seed++) first[epochOrder({ ...options, rows: 5, seed }, 0)[0]!]!++;
  for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(120); // sd 28
});

test("steps as Hugging Face's Trainer counts them", () => {
  expect(numSteps(103, 10, 3)).toBe(33);
  expect(numSteps(103, 10, 0.5)).toBe(6);
  expect(numSteps(103, 10, 3, 7)).toBe(7);
  expect(numSteps(1, 8, 1)).toBe(1);
});
