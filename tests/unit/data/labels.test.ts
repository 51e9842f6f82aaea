import { expect, test } from "vitest";
import { closest } from "../../../src/data/closest.js";
import { buildLabelMap, byCodePoint, encodeLabels, labelMapOf } from "../../../src/data/labels.js";
import { datasetOf } from "../../../src/data/reader.js";

const set = (...labels: (string | number)[]) =>
  datasetOf(
    "train.csv",
    labels.map((label, i) => ({ text: `t${i}`, label })),
    { requireLabels: true },
  );

test("integers in numeric order, strings by code point as in Python", () => {
  expect(buildLabelMap(set(10, 9, -1, 9)).names).toEqual(["-1", "9", "10"]);
  expect(buildLabelMap(set("10", "9", "B", "a")).names).toEqual(["10", "9", "B", "a"]);
  // U+FF5E sorts before U+1F600, though its UTF-16 unit is larger.
  expect(buildLabelMap(set("\u{1F600}", "\uFF5E", "é", "e")).names).toEqual([
    "e",
    "é",
    "\uFF5E",
    "\u{1F600}",
  ]);
  expect(byCodePoint("ab", "a")).toBeGreaterThan(0);
});

test("encoded by name; a number and its text are the same class", () => {
  const map = buildLabelMap(set(0, 1, 2));
  expect(Array.from(encodeLabels(set("2", 0, 1), map))).toEqual([2, 0, 1]);
});

test("rows without a label are -1", () => {
  const dataset = datasetOf("p.csv", [{ text: "a" }], { requireLabels: false });
  expect(Array.from(encodeLabels(dataset, labelMapOf(["x", "y"])))).toEqual([-1]);
});

test("one class, a row without label, a name twice", () => {
  expect(() => buildLabelMap(set("a", "a"))).toThrow(/at least 2 classes, received only "a", in 2 rows/);
  expect(() => buildLabelMap(datasetOf("p.csv", [{ text: "a" }], { requireLabels: false }))).toThrow(
    /no label/,
  );
  expect(() => labelMapOf(["a", "a"])).toThrow(/"a" twice/);
});

test("a label unseen in training names file, row, label and the closest", () => {
  const map = buildLabelMap(set("card_arrival", "pin_blocked"));
  expect(() => encodeLabels(set("card_arrival", "card_arival", "zzzzzz"), map)).toThrow(
    /2 of 3 rows[\s\S]*train.csv:2 \(row 2\) .*seen in training \("card_arrival", "pin_blocked"\), received "card_arival"; did you mean "card_arrival"\?[\s\S]*:3 \(row 3\).*"zzzzzz"$/,
  );
});

test("closest", () => {
  expect(closest("beta3", ["beta1", "epsilon"])).toBe("beta1");
  expect(closest("ABC", ["abc"])).toBe("abc");
  expect(closest("quite different", ["a", "b"])).toBeUndefined();
});
