// What a program may give as texts: strings, and objects whose every key is read.
import { expect, test } from "vitest";
import { datasetOfTexts } from "../../../src/data/texts.js";

const given = (texts: unknown) => datasetOfTexts(texts as string[]);

test("text_b is textB, and what is null or undefined is not given", () => {
  const { examples } = given([
    "a",
    { text: "a", textB: "b" },
    { text: "a", text_b: "b" },
    { text: "a", textB: undefined, text_b: "b", label: undefined },
    { text: "a", textB: null, text_b: null },
  ]);
  const pair = { text: "a", textB: "b" };
  expect(examples).toEqual([{ text: "a" }, pair, pair, pair, { text: "a" }]);
});

test.each([
  [{ text: "a", textB: "b", text_b: "b" }, "textB and text_b are one"],
  [{ text: "a", text_b: 1 }, undefined],
  [{ text: "a", textC: "b" }, "textC: did you mean textB?"],
  [{ text: "a", text_pair: "b" }, "text_pair is not read"],
  [{ text: "a", label: "x" }, "label is not read"],
  [{ txt: "a" }, "txt: did you mean text?"],
  [["a", "b"], undefined],
])("%j is refused", (text, hint) => {
  const issue = {
    path: "texts[1]",
    expected: "a string, or an object with text and, for a pair, textB, both strings",
    received: expect.any(String),
    ...(hint ? { hint } : {}),
  };
  expect(() => given(["a", text])).toThrow(
    expect.objectContaining({ name: "DataError", code: "ERR_TEXTS", issues: [issue] }),
  );
});
