import { expect, test } from "vitest";
import { ELSEWHERE, insteadOf } from "../../../src/config/elsewhere.js";
import type { OptionSpec } from "../../../src/config/option.js";
import { resolve } from "../../../src/config/resolve.js";
import { predictOptions, searchOptions, trainOptions } from "../../../src/config/schema.js";
import type { ConfigError } from "../../../src/errors.js";

type Table = Record<string, OptionSpec>;

const files = { model: "m", train: "t", validation: "v" };
const problems = (run: () => unknown): string => {
  try {
    run();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
};

test("any spelling of a name, defaults filled in, frozen", () => {
  const { config, warnings } = resolve(trainOptions, {
    ...files,
    learning_rate: 1e-4,
    numTrainEpochs: 2,
    "max-length": 64,
  });
  expect(config).toMatchObject({
    learningRate: 1e-4,
    numTrainEpochs: 2,
    maxLength: 64,
    weightDecay: 0.01,
    seed: 42,
  });
  expect(Object.isFrozen(config)).toBe(true);
  expect(warnings).toEqual([]);
});

test("old names are taken with a warning, names that others use today without", () => {
  const { config, warnings } = resolve(trainOptions, {
    ...files,
    warmup_ratio: 0.2,
    evaluation_strategy: "steps",
    bf16: true,
  });
  expect(config).toMatchObject({ warmupSteps: 0.2, evalStrategy: "steps", precision: "bf16" });
  expect(warnings).toEqual([
    "warmup_ratio is an old name of warmup_steps; use warmup_steps",
    "evaluation_strategy is an old name of eval_strategy; use eval_strategy",
  ]);
});

test("a shorthand takes true and false, and no word that may mean either", () => {
  const precision = (bf16: unknown) => resolve(trainOptions, { ...files, bf16 }).config.precision;
  expect([true, "true", false, "false"].map(precision)).toEqual(["bf16", "bf16", "fp32", "fp32"]);
  for (const wrong of ["flase", 0, null])
    expect(() => precision(wrong)).toThrow(/bf16 +expected true or false, received ("flase"|0|null)/);
});

test("every problem at once", () => {
  expect(
    problems(() =>
      resolve(
        searchOptions,
        {
          ...{ model: "m", train: "t", n_trails: 3, seed: 1.5, precision: "fp8" },
          ...{ learning_rate_range: [0, 1], head_learning_rate_range: [1e-2, 1e-5] },
        },
        { source: "search.json" },
      ),
    ),
  ).toMatchInlineSnapshot(`
    "7 problems in search.json
      n_trails                   expected a known option, received an unknown one; did you mean n_trials?
      validation                 expected a string (rows that choose: epochs, configurations, when to stop), received nothing
      seed                       expected an integer, received 1.5
      precision                  expected one of "fp32", "bf16", received "fp8"
      test                       expected a string (rows nothing is chosen by: scored at the end, once for each retrained seed), received nothing
      learning_rate_range.0      expected a number > 0, received 0
      head_learning_rate_range   expected [low, high], low ≤ high, received [0.01,0.00001]"
  `);
});

test("what two options say of each other", () => {
  const given = { model: "m", train: "t", validation: "v", eval_strategy: "no" };
  expect(
    problems(() => resolve(trainOptions, { ...given, earlyStoppingPatience: 2 })),
  ).toMatchInlineSnapshot(`
    "1 problem in options
      earlyStoppingPatience   expected evaluations to count, received evalStrategy no; evalStrategy epoch or steps"
  `);
  expect(resolve(trainOptions, given).config.evalStrategy).toBe("no");
});

test("what JSON has no word for is named all the same", () => {
  const wrong = { ...files, seed: 42n, learning_rate: Number.NaN };
  expect(problems(() => resolve(trainOptions, wrong as never))).toMatch(
    /seed +expected .*, received 42n\n +learning_rate +expected .*, received NaN/,
  );
});

test("an option twice is a problem, not a choice", () => {
  expect(problems(() => resolve(trainOptions, { ...files, learning_rate: 1, learningRate: 2 }))).toContain(
    "each option once",
  );
});

test("what other programs have and we do not is refused with what to do", () => {
  expect(
    problems(() => resolve(trainOptions, { ...files, fp16: true, groupByLength: true, report_to: "none" })),
  ).toMatchInlineSnapshot(`
    "3 problems in options
      fp16            expected a known option, received an unknown one; fp16 arithmetic is not offered: use precision bf16 (saveDtype fp16 writes the weights as fp16)
      groupByLength   expected a known option, received an unknown one; not needed: batches are packed, no padding is ever computed
      report_to       expected a known option, received an unknown one; not offered: trainer_state.json holds the log"
  `);
});

test("what is named otherwise here, or is another command's: each table has its own answer", () => {
  const hint = (table: Table, key: string) => {
    try {
      resolve(table, { ...files, test: "t", [key]: 1 });
    } catch (error) {
      return (error as ConfigError).issues[0]?.hint;
    }
    return undefined;
  };
  expect(hint(trainOptions, "model_name_or_path")).toBe("its name here is model");
  expect(hint(trainOptions, "train_file")).toBe("its name here is train");
  expect(hint(trainOptions, "validation_file")).toBe("its name here is validation");
  expect(hint(trainOptions, "batch_size")).toBe("its name here is per_device_train_batch_size");
  expect(hint(trainOptions, "lr_scheduler")).toBe("its name here is lr_scheduler_type");
  expect(hint(searchOptions, "n_jobs")).toBe("its name here is lanes");
  const rate = "an option of train; search finds it, within learning_rate_range";
  expect(hint(searchOptions, "learning_rate")).toBe(rate);
  expect(hint(searchOptions, "lr")).toBe(rate.replace("learning_rate_range", "learningRateRange"));
  expect(hint(searchOptions, "freeze")).toBe("an option of train; search decides what is frozen");
  expect(hint(searchOptions, "direction")).toBe("not needed: accuracy on validation is maximised");
  // No answer promises an option that is not there.
  for (const table of [trainOptions, searchOptions, predictOptions] as Table[])
    for (const name of ELSEWHERE) {
      const renamed = /its name here is (\w+)/.exec(insteadOf(table, name) ?? "")?.[1];
      expect(renamed === undefined || renamed in table, name).toBe(true);
    }
});

test("names in a hint are spelled as the key is; where it could be either, as its source does", () => {
  const hints = (options: object, origin = {}) => {
    try {
      resolve(searchOptions, { ...files, test: "t", ...options }, origin);
    } catch (error) {
      return (error as ConfigError).issues.map((issue) => `${issue.path}: ${issue.hint ?? issue.received}`);
    }
    return [];
  };
  const wrong = { nTrails: 1, n_trails: 1, numEpochs: 1, num_epochs: 1, "batch-size": 1, batchSize: 1 };
  expect(hints(wrong)).toEqual([
    "nTrails: did you mean nTrials?",
    "n_trails: did you mean n_trials?",
    "numEpochs: its name here is numTrainEpochs",
    "num_epochs: its name here is num_train_epochs",
    "batch-size: its name here is per_device_train_batch_size",
    "batchSize: its name here is perDeviceTrainBatchSize",
  ]);
  expect(hints({ epochs: 1 })).toEqual(["epochs: its name here is numTrainEpochs"]);
  const spell = (name: string) => name.toUpperCase();
  expect(hints({ epochs: 1 }, { spell })).toEqual(["epochs: its name here is NUM_TRAIN_EPOCHS"]);
  // Values, too, are wrong under the name they were given by.
  expect(hints({ nTrials: 0, weight_decay: -1, warmupRatio: -2 })).toEqual([
    "weight_decay: -1",
    "warmupRatio: -2",
    "nTrials: 0",
  ]);
  const old = resolve(searchOptions, { ...files, test: "t", warmupRatio: 0.2 });
  expect(old.warnings).toEqual(["warmupRatio is an old name of warmupSteps; use warmupSteps"]);
});

test("a list of another length: how many are wanted, and of what", () => {
  const range = (learning_rate_range: unknown) =>
    problems(() => resolve(searchOptions, { ...files, test: "t", learning_rate_range }));
  expect(range([1])).toContain("expected 2 values (range of the global rate, as JSON: [1e-6,1e-3])");
  expect(range([1, 2, 3])).toContain("expected 2 values");
  expect(range(["a", 2])).toContain("learning_rate_range.0");
});

test("threads and cache: at most what the core takes", () => {
  expect(problems(() => resolve(trainOptions, { ...files, threads: 1025 }))).toContain("a number ≤ 1024");
  expect(resolve(trainOptions, { ...files, threads: 1024 }).config.threads).toBe(1024);
  expect(problems(() => resolve(trainOptions, { ...files, cache_gib: 1e9 }))).toContain("a number ≤ 1048575");
  // In bytes, and eight times as many for the temporary file.
  const { cacheGib } = resolve(trainOptions, { ...files, cache_gib: 1048575 }).config;
  expect(8 * cacheGib! * 2 ** 30).toBeLessThan(Number.MAX_SAFE_INTEGER);
});
