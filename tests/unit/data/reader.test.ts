import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readDataset } from "../../../src/data/reader.js";
import type { Dataset } from "../../../src/data/types.js";
import { DataError } from "../../../src/errors.js";

const folder = mkdtempSync(path.join(tmpdir(), "permafrost-reader-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(extension: string, contents: string | Uint8Array): string {
  const place = path.join(folder, `${++files}.${extension}`);
  writeFileSync(place, contents);
  return place;
}

const read = (place: string, requireLabels = true) => readDataset(place, { requireLabels });

/** The error of reading, with the folder's name taken out. */
async function failure(place: string, requireLabels = true): Promise<{ code: string; text: string }> {
  const error = await read(place, requireLabels).then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(DataError);
  const { code, message } = error as DataError;
  return { code, text: message.replaceAll(place, "FILE") };
}

describe("what is read", () => {
  test("CSV: quotes, commas, line breaks in quotes, CRLF, a byte order mark", async () => {
    const csv = '\uFEFFtext,label\r\n"a, ""b""",x\r\n"two\r\nlines",y\r\n\r\n5" disk,x\r\n';
    const place = file("csv", csv);
    const dataset = await read(place);
    expect(dataset.examples).toEqual([
      { text: 'a, "b"', label: "x" },
      { text: "two\r\nlines", label: "y" },
      { text: '5" disk', label: "x" },
    ]);
    expect(Array.from(dataset.lines)).toEqual([2, 3, 6]);
    expect(dataset.notices).toEqual([
      `${place}: rows that span several lines: 1, the longest 2 lines from ${place}:3; ` +
        "if those are rows of their own, quotes that are plain text have to be doubled",
    ]);
    expect(dataset.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test("CSV: pairs, columns in any order, a last line without an end", async () => {
    const dataset = await read(file("csv", "label,text_b,text\nx,b,a\ny,d,c"));
    expect(dataset.examples).toEqual([
      { text: "a", textB: "b", label: "x" },
      { text: "c", textB: "d", label: "y" },
    ]);
  });

  test("CSV labels that are all integers are numbers, otherwise strings", async () => {
    expect((await read(file("csv", "text,label\na,10\nb,-2\n"))).examples.map((e) => e.label)).toEqual([
      10, -2,
    ]);
    expect((await read(file("csv", "text,label\na,10\nb,x\n"))).examples.map((e) => e.label)).toEqual([
      "10",
      "x",
    ]);
    expect((await read(file("csv", "text,label\na,01\nb,v1.5\n"))).examples[0]?.label).toBe("01");
    for (const [one, other] of [
      ["00", "01"],
      ["+1", "-1"],
      ["1234567890123456", "1234567890123457"],
    ]) {
      const { examples } = await read(file("csv", `text,label\na,${one}\nb,${other}\n`));
      expect(examples.map((e) => e.label)).toEqual([one, other]);
    }
  });

  test("CSV labels written as floats are the integers they were, as in JSONL", async () => {
    const labels = async (extension: string, contents: string) =>
      (await read(file(extension, contents))).examples.map((e) => e.label);
    const jsonl = '{"text":"a","label":0.0}\n{"text":"b","label":1.0}\n';
    expect(await labels("csv", "text,label\na,0.0\nb,1.0\n")).toEqual(await labels("jsonl", jsonl));
    expect(await labels("csv", "text,label\na,-0.0\nb,1.\nc,12.000\nd,2\n")).toEqual([0, 1, 12, 2]);
    // Names: a word among them; no fraction that asks for numbers.
    expect(await labels("csv", "text,label\na,0.0\nb,x\n")).toEqual(["0.0", "x"]);
    expect(await labels("csv", "text,label\na,01\nb,1.0\nc,1\n")).toEqual(["01", "1.0", "1"]);
    expect(await labels("csv", "text,label\na,1e3\nb,2\n")).toEqual(["1e3", "2"]);
  });

  test("blanks around a CSV label mean nothing; a JSON string is a name as it stands", async () => {
    const labels = async (place: string) => (await read(place)).examples.map((e) => e.label);
    expect(await labels(file("csv", "text, label\nfoo, pos\nbar,pos \nbaz,\tneg\u00a0\n"))).toEqual([
      "pos",
      "pos",
      "neg",
    ]);
    expect(await labels(file("csv", "text,label\nfoo, 1\nbar,2 \n"))).toEqual([1, 2]);
    expect(await labels(file("jsonl", '{"text":"foo","label":" pos"}\n'))).toEqual([" pos"]);
  });

  test("a CSV header in another case, unless that makes two columns one", async () => {
    const upper = await read(file("csv", "Text,TEXT_B,Label\na,b,x\n"));
    expect([upper.examples, upper.notices]).toEqual([[{ text: "a", textB: "b", label: "x" }], []]);
    const both = file("csv", "Text,text,LABEL\na,b,x\n");
    const exact = await read(both);
    expect(exact.examples).toEqual([{ text: "b", label: "x" }]);
    expect(exact.notices).toEqual([`${both}: columns not used: Text`]);
    expect((await failure(file("csv", "Text,TEXT,label\na,b,x\n"))).text).toContain(
      'expected a column "text", received "Text", "TEXT", "label"; the columns are',
    );
  });

  test("CSV columns without a name, as pandas and spreadsheets write them, are nobody's", async () => {
    const { examples, notices } = await read(file("csv", ",text,label, ,\n0,a,x,,\n1,b,y,,note\n"));
    expect(examples).toEqual([
      { text: "a", label: "x" },
      { text: "b", label: "y" },
    ]);
    expect(notices).toEqual([]);
    const { code, text } = await failure(file("csv", ",,\na,x,\n"));
    expect([code, text]).toEqual(["ERR_COLUMN", expect.stringContaining('expected a column "text"')]);
  });

  test("TSV: tabs, quotes as in CSV", async () => {
    const dataset = await read(file("tsv", 'text\tlabel\na, b\tx\n"c\td"\ty\n'));
    expect(dataset.examples).toEqual([
      { text: "a, b", label: "x" },
      { text: "c\td", label: "y" },
    ]);
    expect((await failure(file("TSV", "text\tlabel\na\tb\tx\n"))).text).toContain(
      "received 3 (a tab in a text needs quotes around it)",
    );
  });

  test("JSONL keeps the type of labels; blank lines are skipped", async () => {
    const dataset = await read(file("jsonl", '{"text":"a","label":1}\n\n{"text":"b","label":"1"}\r\n'));
    expect(dataset.examples.map((e) => e.label)).toEqual([1, "1"]);
    expect(Array.from(dataset.lines)).toEqual([1, 3]);
  });

  test("columns that are not used and empty texts are noticed", async () => {
    const place = file("jsonl", '{"text":"a","label":"x","id":7}\n{"text":" ","label":"y","more":[1]}\n');
    expect((await read(place)).notices).toEqual([
      `${place}: columns not used: id, more`,
      `${place}: 1 rows have an empty text`,
    ]);
  });

  test("CSV: what a quote is, where a record ends", async () => {
    const texts = async (csv: string) =>
      (await read(file("csv", `text,text_b\n${csv}`), false)).examples.map(({ text, textB }) => [
        text,
        textB,
      ]);
    expect(await texts('"",""""\n')).toEqual([["", '"']]);
    expect(await texts('"a\n\n""b"",\n","c"\r\nd,')).toEqual([
      ['a\n\n"b",\n', "c"],
      ["d", ""],
    ]);
    expect(await texts('a"b"c, "d"\n\n\r\n"e","f"')).toEqual([
      ['a"b"c', ' "d"'],
      ["e", "f"],
    ]);
  });

  test("the longest of the rows that span several lines is named: two plain quotes may have made it", async () => {
    const place = file("tsv", 'text\tlabel\n"a\nb"\tx\nc\tx\n"d\ty\ne\tx\nf g"\ty\n');
    const { examples, notices } = await read(place);
    expect(examples).toHaveLength(3);
    expect(notices).toEqual([
      expect.stringContaining(`several lines: 2, the longest 3 lines from ${place}:5;`),
    ]);
  });

  test("rows whose every field is empty are skipped; the lines of the others stay", async () => {
    const place = file("csv", "text,label\na,x\n,\nb,y\n,,,\n , \n");
    const { lines, notices } = await read(place);
    expect(Array.from(lines)).toEqual([2, 4]);
    expect(notices).toEqual([`${place}: rows skipped because every field is empty: 3, the first ${place}:3`]);
    expect((await failure(file("csv", "text,label\n,\nb,\n"))).text).toMatch(
      /1 row cannot be used\n {2}FILE:3 .* received none$/,
    );
    expect((await failure(file("csv", "text,label\n,\n"))).code).toBe("ERR_EMPTY");
  });

  test("predictions are one a row: only at the end are empty rows skipped", async () => {
    const { lines, notices } = await read(file("csv", "text,text_b\na,b\n,\nc,d\n,\n"), false);
    expect(Array.from(lines)).toEqual([2, 3, 4]);
    expect(notices[1]).toMatch(/every field is empty: 1, the first .*:5$/);
    expect((await read(file("csv", 'text\na\n""\n'), false)).examples).toHaveLength(2);
  });

  test("without labels, and labels that cannot be used, when only predicting", async () => {
    const dataset = await read(
      file("jsonl", '{"text":"a"}\n{"text":"b","label":3.5}\n{"text":"c","label":2}\n'),
      false,
    );
    expect(dataset.examples).toEqual([{ text: "a" }, { text: "b" }, { text: "c", label: 2 }]);
  });

  test("standard input, CSV or JSONL by the first character", async () => {
    const stdin = (text: string) =>
      (async function* () {
        for (const byte of Buffer.from(text)) yield Uint8Array.of(byte); // worst chunks
      })();
    for (const text of ['\n{"text":"é"}\n', "text\né\n"]) {
      const dataset = await readDataset("-", { requireLabels: false, stdin: stdin(text) });
      expect(dataset.examples).toEqual([{ text: "é" }]);
    }
  });

  test("any chunking gives the same rows", async () => {
    const text = `text,label\n${Array.from({ length: 500 }, (_, i) => `"né ${i}\nx",${i % 3}`).join("\n")}\n`;
    const whole = await read(file("csv", text));
    const alike = (dataset: Dataset) => ({ ...dataset, path: "", notices: [] });
    const bytes = Buffer.from(text);
    for (const size of [1, 7, 4096]) {
      const stdin = (async function* () {
        for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
      })();
      const pieces = await readDataset("-", { requireLabels: true, stdin });
      expect(alike(pieces)).toEqual(alike(whole));
    }
  });
});

describe("what is refused", () => {
  test("no such file, a folder", async () => {
    expect((await failure(path.join(folder, "none.csv"))).text).toContain("received no such file");
    expect((await failure(folder)).code).toBe("ERR_DATA_FILE");
  });

  test.each([
    ["csv", ""],
    ["csv", "text,label\n"],
    ["jsonl", "\n \n"],
  ])("an empty file: %s %j", async (extension, contents) => {
    expect((await failure(file(extension, contents))).code).toBe("ERR_EMPTY");
  });

  test("a column that is missing, or named twice", async () => {
    const { code, text } = await failure(file("csv", "sentence,y\na,b\n"));
    expect(code).toBe("ERR_COLUMN");
    expect(text).toContain('expected a column "text", received "sentence", "y"');
    expect(text).toMatch(/"text".*; rename "sentence" to "text"\n.*"label".*; rename "y" to "label"$/);
    expect((await failure(file("csv", "text,label,text\na,b,c\n"))).text).toContain('received "text" twice');
  });

  test.each([
    ["csv", "text;label\na;x\n", 'separated by ";": save the file with commas'],
    ["csv", '"Label";"id";"Text"\n"x";"1";"a, b"\n', 'separated by ";": save the file with commas'],
    ["csv", "text\tlabel\na\tx\n", "separated by tabs: save the file with commas, or name it .tsv"],
    ["tsv", "text,label\na,x\n", "separated by commas: name the file .csv"],
    ["csv", "text;y\na;x\n", "the columns are text[,text_b],label"],
  ])("a header with another separator is named, not guessed: %s %j", async (extension, contents, hint) => {
    const { code, text } = await failure(file(extension, contents));
    expect([code, text]).toEqual(["ERR_COLUMN", expect.stringContaining(hint)]);
  });

  test("bytes that are not UTF-8, with line and byte", async () => {
    const bad = Buffer.concat([Buffer.from("text,label\ngood,x\nca"), Buffer.of(0xe9), Buffer.from(",y\n")]);
    const { code, text } = await failure(file("csv", bad));
    expect(code).toBe("ERR_ENCODING");
    expect(text).toContain("FILE:3");
    expect(text).toContain("byte 0xe9 at byte 3 of the line");
    const cut = Buffer.concat([Buffer.from('{"text":"a'), Buffer.of(0xe2, 0x82)]);
    expect((await failure(file("jsonl", cut))).code).toBe("ERR_ENCODING");
  });

  test("NUL and UTF-16", async () => {
    expect((await failure(file("csv", "text,label\na\0b,x\n"))).text).toContain("FILE:2");
    expect((await failure(file("csv", Buffer.from("text,label\n", "utf16le")))).code).toBe("ERR_ENCODING");
  });

  test("labels that are not classes", async () => {
    const csv = await failure(file("csv", "text,label\na,1\nb,2.5\n"));
    expect(csv.text).toMatch(
      /FILE:3 +expected a class as label, received 2.5; regression is not supported yet/,
    );
    // The row that is not whole is named, not the first with a fraction.
    expect((await failure(file("csv", "text,label\na,1.0\nb,2.5\n"))).text).toMatch(
      /FILE:3 .*received 2.5; reg/,
    );
    expect((await failure(file("csv", "text,label\na,x\nb, \n"))).text).toMatch(/FILE:3 .*received none/);
    const jsonl = await failure(file("jsonl", '{"text":"a","label":5}\n{"text":"b","label":3.8}\n'));
    expect(jsonl.text).toMatch(/FILE:2 +expected a class as label, received 3.8; regression/);
    for (const label of ["true", "null", "[]", '""', "1e300"]) {
      expect((await failure(file("jsonl", `{"text":"a","label":${label}}\n`))).code).toBe("ERR_ROWS");
    }
  });

  test("many bad rows: the first ten, and how many", async () => {
    const rows = Array.from({ length: 25 }, (_, i) => `{"text":${i},"label":"x"}\n`);
    const { text } = await failure(file("jsonl", rows.join("")));
    expect(text).toContain("25 rows cannot be used");
    expect(text.split("\n").length).toBe(11);
    expect(text).toMatch(/FILE:10 +expected "text" as a string, received 9$/m);
  });

  test("the same problem in many rows is said once, with the first of them and how many", async () => {
    const rows = '{"text":"a","label":"x"}\n'.concat('{"sentence":"a","labels":1}\n'.repeat(12), "7\n");
    expect((await failure(file("jsonl", rows))).text.split("\n")).toEqual([
      "FILE: 13 rows cannot be used",
      expect.stringMatching(
        /:2 +expected a "text", received only sentence, labels, in 12 rows; rename "sentence" to "text"$/,
      ),
      expect.stringMatching(
        /:2 +expected a string or an integer as label, received only sentence, labels, in 12 rows; rename "labels" to "label"$/,
      ),
      expect.stringMatching(/:14 +expected one JSON object, received 7$/),
    ]);
  });

  test.each([
    [{ text: "a", labels: 1 }, 'only text, labels; rename "labels" to "label"'],
    [{ text: "a", stars: 1 }, "only text, stars"],
    [{ text: "a" }, "only text"],
    [{ Text: "a", label: 1 }, 'only Text, label; rename "Text" to "text"'],
    [{ text: null, label: 1 }, "only label"],
    [
      { premise: "a", hypothesis: "b", label: 1 },
      'only premise, hypothesis, label; rename "premise" to "text" and "hypothesis" to "text_b"',
    ],
    [
      { question: "a", sentence: "b", label: 1 },
      'only question, sentence, label; rename "question" to "text" and "sentence" to "text_b"',
    ],
  ])("a key that is missing: what is there, and which of it may be meant: %j", async (row, received) => {
    const { text } = await failure(file("jsonl", JSON.stringify(row)));
    expect(text.split("received ")[1]).toBe(received);
  });

  test("rows of every other wrong kind", async () => {
    const rows = ["nonsense", "[1]", '{"label":"x"}', '{"text":"a"}', '{"text":"\\ud800","label":"x"}', "7"];
    const { text } = await failure(file("jsonl", rows.join("\n")));
    expect(text).toContain("6 rows cannot be used");
    expect((await failure(file("csv", "text,label\na,b,c\nd,e\n"))).text).toContain(
      "FILE:2   expected 2 fields, as in the header, received 3 (a comma in a text needs quotes around it)",
    );
    expect((await failure(file("json", '[{"text":"a"}]'))).text).toContain("one JSON object a line");
  });

  test("some rows with text_b, some without", async () => {
    const rows = '{"text":"a","text_b":"b","label":"x"}\n{"text":"a","label":"x"}\n';
    expect((await failure(file("jsonl", rows))).text).toContain(
      "expected text_b, as on the first row, received none",
    );
  });

  test("a quote that is never closed", async () => {
    const { code, text } = await failure(file("csv", 'text,label\n"never,x\nb,y\n'));
    expect(code).toBe("ERR_CSV");
    expect(text).toContain("inside quotes");
  });

  // Two plain quotes would make one text of all the rows between them.
  test.each([
    [
      "tsv",
      'text\tlabel\na\tx\n"b\ty\nc\tx\nd "e" f\ty\n',
      '3 +expected a tab .*, received "e\\\\" f\\\\ty" on line 5;',
    ],
    ["csv", 'text,label\n"Yes" he said,x\n', '2 +expected a comma .*, received "he said,x";'],
    ["csv", 'text,text_b,label\n"a\nb","c\nd"e,x\n', '3 +expected a comma .*, received "e,x" on line 4;'],
  ])(
    "text after a closing quote, with the line on which the field begins: %s %j",
    async (extension, contents, place) => {
      const { code, text } = await failure(file(extension, contents));
      expect(code).toBe("ERR_CSV");
      expect(text).toMatch(new RegExp(`FILE:${place}`));
      expect(text).toContain(
        '; write such a text in quotes with its own doubled ("""Yes"" he said"), or the file as JSONL',
      );
    },
  );

  test("blanks between a closing quote and the separator are nobody's", async () => {
    const { examples } = await readDataset(file("csv", 'text,label\n"a, b"  ,"x" \nc,x\n'), {
      requireLabels: true,
    });
    expect(examples).toEqual([
      { text: "a, b", label: "x" },
      { text: "c", label: "x" },
    ]);
  });

  test("one endless line costs bounded memory", async () => {
    const chunk = Buffer.alloc(1 << 20, "x");
    let given = 0;
    const stdin = (async function* () {
      for (; given < 100; given++) yield chunk;
    })();
    await expect(readDataset("-", { requireLabels: true, stdin })).rejects.toThrow(/a line of at most/);
    expect(given).toBeLessThan(20);
  });

  test("one endless quoted record costs bounded memory", async () => {
    let given = 0;
    const stdin = (async function* () {
      yield Buffer.from('text,label\n"');
      for (; given < 100; given++) yield Buffer.from(`${"x".repeat((1 << 20) - 1)}\n`);
    })();
    await expect(readDataset("-", { requireLabels: true, stdin })).rejects.toThrow(/a quote left open/);
    expect(given).toBeLessThan(20);
  });
});
