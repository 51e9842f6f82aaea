import { expect, test } from "vitest";
import { resolve } from "../../../src/config/resolve.js";
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

test("old names are taken with a warning", () => {
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
    "bf16 is an old name of precision; use precision",
  ]);
});

test("every problem at once", () => {
  expect(
    problems(() =>
      resolve(
        searchOptions,
        { model: "m", train: "t", n_trails: 3, seed: 1.5, precision: "fp8", learning_rate_range: [0, 1] },
        "search.json",
      ),
    ),
  ).toMatchInlineSnapshot(`
    "6 problems in search.json
      n_trails                expected a known option, received an unknown one; did you mean n_trials?
      validation              expected a string (rows that choose: epochs, configurations, when to stop), received nothing
      seed                    expected an integer, received 1.5
      precision               expected one of "fp32", "bf16", received "fp8"
      test                    expected a string (rows the search never sees: scored once, at the end), received nothing
      learning_rate_range.0   expected a number > 0, received 0"
  `);
});

test("an option twice is a problem, not a choice", () => {
  expect(problems(() => resolve(trainOptions, { ...files, learning_rate: 1, learningRate: 2 }))).toContain(
    "each option once",
  );
});
