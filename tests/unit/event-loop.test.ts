/** Long work in JavaScript, and whoever else wants the event loop meanwhile. */
import { expect, test, vi } from "vitest";
import { compareAll, compareInPieces } from "../../src/analysis/compare.js";
import { analyseInPieces, analyseLayers } from "../../src/analysis/layers.js";
import { Random } from "../../src/analysis/random.js";
import { encodeDataset } from "../../src/data/encode.js";
import { datasetOfTexts } from "../../src/data/texts.js";
import type { Tokenizer } from "../../src/data/tokenizer.js";
import { inTurns, turns } from "../../src/event-loop.js";
import { sha256 } from "../../src/models/hash.js";
import { arm, randomTrials } from "./analysis/arms.js";

/** Holds the event loop. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** How often the event loop turned while `task` ran. */
async function turnsDuring(task: () => Promise<unknown>): Promise<number> {
  let count = 0;
  let ended = false;
  const next = () => {
    if (ended) return;
    count++;
    setImmediate(next);
  };
  setImmediate(next);
  try {
    await task();
  } finally {
    ended = true;
  }
  return count;
}

test("a turn once 8 ms of work have passed since the last, none before", async () => {
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  const turn = turns();
  const turnsAt = async (ms: number) => {
    clock.mockReturnValue(ms);
    return turnsDuring(async () => await turn());
  };
  try {
    expect([
      await turnsAt(0),
      await turnsAt(7),
      await turnsAt(8),
      await turnsAt(15),
      await turnsAt(16),
    ]).toEqual([0, 0, 1, 0, 1]);
  } finally {
    clock.mockRestore();
  }
});

test("an abort is heard at the next turn", async () => {
  const controller = new AbortController();
  setImmediate(() => controller.abort(new Error("enough")));
  const slow = {
    encode() {
      work(1);
      return { ids: [1], types: [0], truncated: false };
    },
  } as unknown as Tokenizer;
  const dataset = datasetOfTexts(Array(10_000).fill("text"));
  const begin = performance.now();
  await expect(encodeDataset(slow, dataset, null, 8, controller.signal)).rejects.toThrow("enough");
  expect(performance.now() - begin).toBeLessThan(5_000); // of 10 s
});

test("tokenising a dataset and hashing a model's worth of bytes leave turns", async () => {
  const slow = {
    encode() {
      work(1);
      return { ids: [1], types: [0], truncated: false };
    },
  };
  const dataset = datasetOfTexts(Array.from({ length: 50 }, () => "text"));
  const tokenising = () => encodeDataset(slow as unknown as Tokenizer, dataset, null, 8);
  expect(await turnsDuring(tokenising)).toBeGreaterThanOrEqual(3);
  // Each look at the clock finds that 8 ms have passed, however fast the machine: a turn a piece.
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 8));
  try {
    expect(await turnsDuring(() => sha256(new Uint8Array(2 ** 25)))).toBeGreaterThanOrEqual(3);
  } finally {
    clock.mockRestore();
  }
});

test("a comparison in pieces: what it is at once, and turns between them", async () => {
  const half = Array.from({ length: 3 }, (_, seed) =>
    Array.from({ length: 3000 }, (_, i) => (i + seed) % 2 > 0),
  );
  const [winner, baseline] = [arm("w", half), arm("b", [...half].reverse())];
  let found: unknown;
  const comparing = async () => {
    found = await inTurns(compareInPieces(winner, [baseline], { seed: 1 }));
  };
  expect(await turnsDuring(comparing)).toBeGreaterThanOrEqual(3);
  expect(found).toEqual(compareAll(winner, [baseline], { seed: 1 }));
});

test("an analysis of layers in pieces: what it is at once", async () => {
  const random = new Random(3, "pieces");
  const trials = randomTrials(random, 30, () => random.normal());
  const options = { seed: 1, permutations: 199, resamples: 99 };
  const pieces = analyseInPieces(trials, options);
  let count = 0;
  while (!pieces.next().done) count++;
  expect(count).toBeGreaterThan(50);
  expect(await inTurns(analyseInPieces(trials, options))).toEqual(analyseLayers(trials, options));
});
