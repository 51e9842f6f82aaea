/** What a checkpoint must share with the run that goes on from it. */
import { expect, test } from "vitest";
import { resolve } from "../../../src/config/resolve.js";
import { trainOptions } from "../../../src/config/schema.js";
import { asWritten, manifestOf } from "../../../src/train/manifest.js";
import type { Task } from "../../../src/train/task.js";

const task = (train = "a", validation = "b") =>
  ({
    modelHash: "weights",
    folder: { config: { hidden_dropout_prob: 0.1 }, pooling: "cls" },
    splits: { train: { encoded: { hash: train } }, validation: { encoded: { hash: validation } } },
  }) as unknown as Task;
const files = { model: "m", train: "t", validation: "v" };
const manifest = (options: object = {}, of = task(), rates = { head: 1e-3 }) =>
  manifestOf(of, resolve(trainOptions, { ...files, ...options }).config, rates);

test("every option that can change a training is in it; an option added later is, until it is excepted", () => {
  const excepted = Object.keys(trainOptions)
    .map(asWritten)
    .filter((name) => !(name in manifest()));
  expect(excepted.toSorted()).toEqual([
    // What only says how fast, where to, or what is told; the test split is read at the end.
    ...["cache", "cache_gib"],
    ...["freeze"], // in the rates
    ...["isa"],
    ...["layer_lr_decay", "learning_rate"], // in the rates
    ...["logging_steps"],
    ...["max_length"], // in the files' content
    ...["output_dir", "per_device_eval_batch_size", "resume_from_checkpoint", "save_dtype", "save_steps"],
    ...["strict", "test", "threads"],
  ]);
});

test("files count by content, rates as each layer has them", () => {
  expect(manifest({ train: "elsewhere.csv" })).toEqual(manifest());
  expect(manifest({}, task("c"))).not.toEqual(manifest());
  expect(manifest({}, task("a", "c"))).not.toEqual(manifest());
  expect(manifest({}, task(), { head: 2e-3 })).not.toEqual(manifest());
  expect(manifest({ dataSeed: 42 })).toEqual(manifest({ seed: 42 }));
});
