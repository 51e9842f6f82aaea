import { expect, test } from "vitest";
import { resolve } from "../../../src/config/resolve.js";
import { searchOptions } from "../../../src/config/schema.js";
import { manifestOf, randomTrials } from "../../../src/search/manifest.js";
import type { Task } from "../../../src/train/task.js";

const split = (hash: string) => ({ encoded: { hash } });
const task = {
  folder: { hash: "weights" },
  splits: { train: split("a"), validation: split("b"), test: split("c") },
} as unknown as Task;
const manifest = (options: object = {}) => {
  const files = { model: "m", train: "t", validation: "v", test: "x" };
  return manifestOf(task, resolve(searchOptions, { ...files, ...options }).config);
};

test("every option that can change a result is in the manifest; an option added later is, until it is excepted", () => {
  const excepted = Object.keys(searchOptions).filter((name) => !(name in manifest()));
  expect(excepted.toSorted()).toEqual([
    ...["cache", "cache_gib", "force", "isa", "lanes", "output_dir", "per_device_eval_batch_size", "resume"],
    ...["save_dtype", "storage", "study_name", "threads", "timeout"],
  ]);
});

test("files count by content, and the default of the randomised arm as the number it comes to", () => {
  expect(manifest({ train: "elsewhere.csv" })).toEqual(manifest());
  expect(manifest()).toMatchObject({ model: "weights", train: "a", validation: "b", test: "c" });
  expect(manifest({ nTrials: 10 })).toEqual(manifest({ nTrials: 10, nRandomTrials: 4 }));
  expect(
    randomTrials(
      resolve(searchOptions, {
        ...{ model: "m", train: "t", validation: "v", test: "x" },
        nTrials: 3,
        nRandomTrials: 9,
      }).config,
    ),
  ).toBe(3);
});
