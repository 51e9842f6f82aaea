import { expect, test } from "vitest";
import { overlapNotice } from "../../../src/data/overlap.js";
import { datasetOf } from "./dataset-of.js";

const set = (name: string, rows: readonly (readonly [string, string])[]) =>
  datasetOf(
    name,
    rows.map(([text, label]) => ({ text, label })),
    { requireLabels: true },
  );

test("rows of validation that are in train are noticed", () => {
  const train = set("train", [
    ["a", "x"],
    ["b", "y"],
  ]);
  expect(overlapNotice(train, set("dev", [["c", "x"]]), "so")).toBeNull();
  expect(
    overlapNotice(
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
