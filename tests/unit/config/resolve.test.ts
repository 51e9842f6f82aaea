import { expect, test } from "vitest";
import { ELSEWHERE } from "../../../src/config/elsewhere.js";
import { findOption, resolve } from "../../../src/config/resolve.js";
import { searchOptions, trainOptions } from "../../../src/config/schema.js";

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

test("every problem at once", () => {
  expect(
    problems(() =>
      resolve(
        searchOptions,
        {
          ...{ model: "m", train: "t", n_trails: 3, seed: 1.5, precision: "fp8" },
          ...{ learning_rate_range: [0, 1], head_learning_rate_range: [1e-2, 1e-5] },
        },
        "search.json",
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
      fp16            expected a known option, received an unknown one; fp16 arithmetic is not offered: use precision bf16 (save_dtype fp16 writes the weights as fp16)
      groupByLength   expected a known option, received an unknown one; not needed: batches are packed, no padding is ever computed
      report_to       expected a known option, received an unknown one; not offered: trainer_state.json holds the log"
  `);
  for (const name of ELSEWHERE) expect(findOption(trainOptions, name), name).toBeUndefined();
});

test("a list of another length: how many are wanted, and of what", () => {
  const range = (learning_rate_range: unknown) =>
    problems(() => resolve(searchOptions, { ...files, test: "t", learning_rate_range }));
  expect(range([1])).toContain("expected 2 values (range of the global rate, as JSON: [1e-6,1e-3])");
  expect(range([1, 2, 3])).toContain("expected 2 values");
  expect(range(["a", 2])).toContain("learning_rate_range.0");
});

test("threads: at most what the core takes", () => {
  expect(problems(() => resolve(trainOptions, { ...files, threads: 1025 }))).toContain("a number ≤ 1024");
  expect(resolve(trainOptions, { ...files, threads: 1024 }).config.threads).toBe(1024);
});
