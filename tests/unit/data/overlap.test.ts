import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { datasetOf } from "../../../src/data/reader.js";
import { lowVolumeCut, overlapNotice, selectRows } from "../../../src/data/splits.js";

const set = (name: string, rows: readonly (readonly [string, string])[]) =>
  datasetOf(
    name,
    rows.map(([text, label]) => ({ text, label })),
    { requireLabels: true },
  );

const md5 = (text: string) => createHash("md5").update(text).digest("hex");
const byMd5 = (a: string, b: string) => (md5(a) < md5(b) ? -1 : 1);

test("the low-volume cut: n classes in md5(label) order, m rows each in md5(text) order", () => {
  const rows = Array.from({ length: 60 }, (_, i) => [`text ${i}`, `label ${i % 6}`] as const);
  const cut = lowVolumeCut({ train: set("train", rows), test: set("test", rows) }, 2, 3);
  const kept = [...new Set(rows.map(([, label]) => label))].sort(byMd5).slice(0, 2);
  const expected = kept.flatMap((label) =>
    rows
      .filter((row) => row[1] === label)
      .map(([text]) => text)
      .sort(byMd5)
      .slice(0, 3),
  );
  const texts = cut.train.examples.map(({ text }) => text);
  expect(texts).toEqual(expected.sort(byMd5));
  expect(cut.test?.examples.map(({ text }) => text)).toEqual(
    rows.filter(([, label]) => kept.includes(label)).map(([text]) => text),
  );
  expect(cut.validation).toBeUndefined();
});

test("zero keeps all classes or all rows", () => {
  const train = set("train", [
    ["b", "x"],
    ["a", "y"],
    ["c", "x"],
  ]);
  expect(lowVolumeCut({ train }, 0, 0).train.examples.length).toBe(3);
  expect(lowVolumeCut({ train }, 0, 1).train.examples.length).toBe(2);
});

test("selected rows keep their lines and get a hash of their own", () => {
  const train = set("train", [
    ["a", "x"],
    ["b", "y"],
    ["c", "x"],
  ]);
  const part = selectRows(train, [2, 0]);
  expect([...part.lines]).toEqual([3, 1]);
  expect(part.examples.map(({ text }) => text)).toEqual(["c", "a"]);
  expect(part.hash).not.toBe(selectRows(train, [0, 2]).hash);
});

test("rows of validation that are in train are noticed", () => {
  const train = set("train", [
    ["a", "x"],
    ["b", "y"],
  ]);
  expect(overlapNotice(train, set("dev", [["c", "x"]]))).toBeNull();
  expect(
    overlapNotice(
      train,
      set("dev", [
        ["c", "x"],
        ["b", "x"],
      ]),
    ),
  ).toBe(
    "1 of 2 rows of dev (50.0 %) are also in train, first dev:2 (row 2): what is measured on them is memory",
  );
});
