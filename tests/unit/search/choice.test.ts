/** Which trial wins: what a search trains and saves. */
import { expect, test } from "vitest";
import { bestTrial } from "../../../src/search/choice.js";
import type { TrialRecord } from "../../../src/study/types.js";

type Outcome = {
  value: number | null;
  flops?: number;
  loss?: number;
  state?: TrialRecord["state"];
  rates?: null;
};

const trials = (...outcomes: Outcome[]) =>
  outcomes.map(
    ({ value, flops = 1, loss = 1, state = "COMPLETE", rates }, number) =>
      ({
        number,
        state,
        value,
        userAttrs: { flops, validation_loss: loss, ...(rates === null ? {} : { rates: { head: 1e-3 } }) },
      }) as unknown as TrialRecord,
  );

test.each<[string, number | null, Outcome[]]>([
  [
    "the highest accuracy, whatever it cost",
    1,
    [{ value: 0.8 }, { value: 0.9, flops: 9, loss: 9 }, { value: 0.7 }],
  ],
  [
    "of equal accuracy the fewest FLOPs, whatever its loss",
    2,
    [
      { value: 0.9, flops: 3 },
      { value: 0.9, flops: 2 },
      { value: 0.9, loss: 9 },
    ],
  ],
  [
    "then the lower validation loss",
    1,
    [
      { value: 0.9, loss: 3 },
      { value: 0.9, loss: 2 },
      { value: 0.9, loss: 4 },
    ],
  ],
  ["then the earlier", 0, [{ value: 0.9 }, { value: 0.9 }]],
  ["none that was pruned", 1, [{ value: 0.9, state: "PRUNED" }, { value: 0.8 }]],
  ["none that another program ran", 1, [{ value: 0.9, rates: null }, { value: 0.8 }]],
  [
    "nothing where none completed",
    null,
    [
      { value: 0.9, state: "PRUNED" },
      { value: null, state: "FAIL" },
    ],
  ],
])("bestTrial: %s", (_, number, outcomes) => {
  expect(bestTrial(trials(...outcomes))?.number ?? null).toBe(number);
});
