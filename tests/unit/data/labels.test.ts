import { describe, expect, test } from "vitest";
import { closest } from "../../../src/data/closest.js";
import {
  buildLabelMap,
  byCodePoint,
  classNotices,
  encodeLabels,
  labelMapOf,
} from "../../../src/data/labels.js";
import { atOnce } from "../../../src/event-loop.js";
import { datasetOf, keyedOf } from "./dataset-of.js";

const set = (...labels: (string | number)[]) => named("train.csv", ...labels);

const named = (name: string, ...labels: (string | number)[]) =>
  datasetOf(
    name,
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

test("a whole number is the same class with a fraction of zeros, whichever file has it; names stay names", () => {
  const named = labelMapOf(["1.0", "2.0", "beta"]);
  expect(Array.from(encodeLabels(set(2, 1, "beta"), named))).toEqual([1, 0, 2]);
  expect(() => encodeLabels(set("0.0", "1.0", "x"), labelMapOf(["0", "1"]))).toThrow(/1 of 3 rows .*row 3/s);
  expect(() => encodeLabels(set("1.5", "01"), labelMapOf(["1", "2"]))).toThrow(/2 of 2 rows/);
});

test("a label as long as a text is cut in the message", () => {
  const error = () => encodeLabels(set("long ".repeat(1000)), labelMapOf(["other ".repeat(1000), "b"]));
  expect(error).toThrow(/received "long long .*…/);
  expect(error).not.toThrow(/.{1000}/);
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

test("no row with a known label: the column is in doubt", () => {
  const map = buildLabelMap(set("a", "b"));
  expect(() => encodeLabels(named("dev.csv", "0", "1"), map)).toThrow(
    /^dev.csv: 2 of 2 rows have a label that is not one of the 2 classes: is label the right column, here and in training\?$/m,
  );
  // Labels may be whole texts when columns are exchanged.
  const texts = buildLabelMap(set("x".repeat(200), "y"));
  expect(() => encodeLabels(set("a"), texts)).toThrow(/seen in training \("x{80}…", "y"\)/);
});

test("labels that differ only in the blanks around them are refused, with the first row of each", () => {
  expect(() => buildLabelMap(set("pos", "neg", "pos ", "pos", "pos ", "\tpos"))).toThrow(
    /train.csv: labels that differ only in the blanks.*\n.*:1 \(row 1\) +expected one spelling of "pos", received "pos"\n.*:3 \(row 3\) .*received "pos "\n.*:6 \(row 6\) .*received "\tpos"$/,
  );
  expect(() => buildLabelMap(set(1, " 1"))).toThrow(/one spelling of "1"/);
  expect(buildLabelMap(set(" pos", "neg", 1, "1")).names).toEqual([" pos", "1", "neg"]);
});

describe("what is said of the classes", () => {
  const notices = (train: (string | number)[], ...others: (string | number)[][]) => {
    const rows = set(...train);
    const files = others.map((labels, i) => named(["dev.csv", "test.csv"][i]!, ...labels));
    return atOnce(classNotices(keyedOf(rows), files, buildLabelMap(rows)));
  };

  test("how many there are, and their rows", () => {
    expect(notices(["a", "b", "a", "b", "b"])).toEqual(["2 classes, 2 to 3 training rows each"]);
    expect(notices([0, 1, 1, 0], [0, "1"])).toEqual(["2 classes, 2 training rows each"]);
    // The folder's own classes, of which training may have some only.
    const rows = set("a", "a", "b", "b");
    expect(atOnce(classNotices(keyedOf(rows), [rows], labelMapOf(["a", "b", "c"])))).toEqual([
      "3 classes, 0 to 2 training rows each",
    ]);
  });

  test("most have a single row", () => {
    expect(notices(["a", "b", "c", "c"])).toEqual([
      "3 classes, 1 to 2 training rows each",
      "train.csv: 2 of 3 classes have a single row: is label a column of ids, or exchanged with text?",
    ]);
    expect(notices(["a", "b"])[0]).toBe("2 classes, 1 training row each");
    expect(notices(["a", "b", "b"])).toHaveLength(1);
  });

  test("some are not in another file", () => {
    const train = ["a", "b", "c", "d", "e"].flatMap((label) => [label, label]);
    expect(notices(train, ["a", "b", "c", "d"], ["e"])).toEqual([
      "5 classes, 2 training rows each",
      'dev.csv: no row of 1 of the 5 classes of train.csv ("e"): nothing is measured on them',
      'test.csv: no row of 4 of the 5 classes of train.csv ("a", "b", "c", …): nothing is measured on them',
    ]);
    const long = "x".repeat(200);
    expect(notices([long, long, "b", "b"], ["b"])[1]).toContain(`("${"x".repeat(80)}…")`);
  });
});

describe("labels that are probably mistakes", () => {
  const notices = (rows: readonly (readonly [text: string, label: string | number])[]) => {
    const train = datasetOf(
      "train.csv",
      rows.map(([text, label]) => ({ text, label })),
      { requireLabels: true },
    );
    return atOnce(classNotices(keyedOf(train), [], buildLabelMap(train))).slice(1);
  };

  test("spellings of one word: case, Unicode forms", () => {
    const labels = ["Yes", "no", "yes", "YES", "Yes", "no", "caf\u00e9", "cafe\u0301"];
    expect(notices(labels.map((label, i) => [`t${i}`, label])).at(-1)).toBe(
      "train.csv: labels that differ only in case or Unicode form are classes of their own: " +
        '"Yes" (2 rows) and "yes" (1 row) and "YES" (1 row), "caf\u00e9" (1 row) and "cafe\u0301" (1 row)',
    );
    const many = ["a", "b", "c", "d"].flatMap((label) => [label, label, label.toUpperCase()]);
    expect(notices(many.map((label, i) => [`t${i}`, label])).at(-1)).toMatch(/"c" .*"C" \(1 row\), …$/);
  });

  test("one text with several labels", () => {
    const agree = [
      ["a", 1],
      ["b", 0],
      ["a", "1"],
      ["b", 0],
    ] as const;
    expect(notices(agree)).toEqual([]);
    expect(notices([...agree, ["b", 1]])).toEqual([
      'train.csv: 1 text has more than one label, the first "0" at train.csv:2 (row 2) and "1" at train.csv:5 (row 5)',
    ]);
    expect(notices([...agree, ["b", 1], ["b", 1], ["a", 0]])).toEqual([
      expect.stringContaining("2 texts have more than one label, the first"),
    ]);
  });
});

test("closest", () => {
  expect(closest("beta3", ["beta1", "epsilon"])).toBe("beta1");
  expect(closest("ABC", ["abc"])).toBe("abc");
  expect(closest("quite different", ["a", "b"])).toBeUndefined();
});
