import { expect, test } from "vitest";
import { overlapNotice } from "../../../src/data/overlap.js";
import type { Dataset } from "../../../src/data/types.js";
import { atOnce } from "../../../src/event-loop.js";
import { datasetOf, keyedOf } from "./dataset-of.js";

const set = (name: string, rows: readonly (readonly [string, string])[]) =>
  datasetOf(
    name,
    rows.map(([text, label]) => ({ text, label })),
    { requireLabels: true },
  );

const notice = (earlier: Dataset, other: Dataset, so: string) =>
  atOnce(overlapNotice(keyedOf(earlier), keyedOf(other), so));

test("rows of validation that are in train are noticed", () => {
  const train = set("train", [
    ["a", "x"],
    ["b", "y"],
  ]);
  expect(notice(train, set("dev", [["c", "x"]]), "so")).toBeNull();
  expect(
    notice(
      train,
      set("dev", [
        ["c", "x"],
        ["b", "x"],
      ]),
      "what is measured on them is memory",
    ),
  ).toBe(
    "1 of 2 rows of dev (50.0 %) are also in train, first dev:2 (row 2): what is measured on them is memory",
  );
});
