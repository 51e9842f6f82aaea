import { expect, test } from "vitest";
import { resolve } from "../../../src/config/resolve.js";
import { searchOptions } from "../../../src/config/schema.js";
import { manifestOf, mayChange, plannedConfig } from "../../../src/search/manifest.js";
import type { Task } from "../../../src/train/task.js";

const split = (hash: string) => ({ encoded: { hash } });
const task = {
  modelHash: "weights",
  folder: { config: { hidden_dropout_prob: 0.1 }, pooling: "cls" },
  maxLength: 128,
  splits: { train: split("a"), validation: split("b"), test: split("c") },
} as unknown as Task;
const files = { model: "m", train: "t", validation: "v", test: "x" };
const planned = (options: object = {}, before = {}) =>
  plannedConfig(resolve(searchOptions, { ...files, ...options }).config, before);
const manifest = (options: object = {}) => manifestOf(task, planned(options));

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
  expect(planned({ nTrials: 3, nRandomTrials: 9 })).toMatchObject({ nTrials: 3, nRandomTrials: 3 });
});

test("config.json counts with the weights, as dropout is not in a tensor's shape; pooling and max_length as the task has them", () => {
  const with_ = (folder: object) =>
    manifestOf({ ...task, folder: { ...task.folder, ...folder } } as Task, planned());
  expect(with_({})).toEqual(manifest());
  expect(with_({ config: { hidden_dropout_prob: 0 } })).not.toEqual(manifest());
  expect(with_({ pooling: "mean" })).not.toEqual(manifest());
  expect(manifest({ pooling: "mean" })).toEqual(manifest()); // the folder as it was read has it
  expect(manifestOf({ ...task, maxLength: 64 } as Task, planned())).not.toEqual(manifest());
  expect(manifest({ maxLength: 64 })).toEqual(manifest()); // the task has it
});

test("a search that goes on has the sizes it was planned with, unless others are asked for", () => {
  expect(planned()).toMatchObject({ nTrials: 30, nRandomTrials: 12, nSeeds: 5 });
  const before = { n_trials: 8, n_random_trials: 2, n_seeds: 3 };
  expect(planned({}, before)).toMatchObject({ nTrials: 8, nRandomTrials: 2, nSeeds: 3 });
  const more = planned({ nTrials: 20, nSeeds: 4 }, before);
  expect(more).toMatchObject({ nTrials: 20, nRandomTrials: 2, nSeeds: 4 });
  expect(mayChange(before, more)).toEqual(["n_trials", "n_seeds"]);
  expect(mayChange(before, planned({ nTrials: 7 }, before))).toEqual(["n_seeds"]);
});
