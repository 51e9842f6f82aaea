import { describe, expect, test } from "vitest";
import { distributionFromJson, distributionToJson } from "../../../src/study/distribution-json.js";
import { pythonFloat, readJson, writeJson } from "../../../src/study/json.js";
import type { Distribution } from "../../../src/study/types.js";

/** What `optuna.distributions.distribution_to_json` gives: `python tests/golden/optuna_study.py texts` prints them. */
const texts: [string, Distribution, string][] = [
  [
    "float, log",
    { kind: "float", low: 1e-6, high: 1e-3, log: true },
    '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.001, "log": true}}',
  ],
  [
    "float, whose high is no step",
    { kind: "float", low: 0, high: 0.35, step: 0.1 },
    '{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 0.3, "log": false}}',
  ],
  [
    "float, large",
    { kind: "float", low: -1e16, high: 1e22 },
    '{"name": "FloatDistribution", "attributes": {"step": null, "low": -1e+16, "high": 1e+22, "log": false}}',
  ],
  [
    "float, minus zero",
    { kind: "float", low: -0, high: 123456789.125 },
    '{"name": "FloatDistribution", "attributes": {"step": null, "low": -0.0, "high": 123456789.125, "log": false}}',
  ],
  [
    "int, step",
    { kind: "int", low: 0, high: 12, step: 3 },
    '{"name": "IntDistribution", "attributes": {"log": false, "step": 3, "low": 0, "high": 12}}',
  ],
  [
    "int, log",
    { kind: "int", low: 1, high: 1024, log: true },
    '{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1024}}',
  ],
  [
    "int, large",
    { kind: "int", low: -5, high: Number.MAX_SAFE_INTEGER },
    '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": -5, "high": 9007199254740991}}',
  ],
  [
    "int, whose high is no step",
    { kind: "int", low: 0, high: 10, step: 4 },
    '{"name": "IntDistribution", "attributes": {"log": false, "step": 4, "low": 0, "high": 8}}',
  ],
  [
    "categorical",
    { kind: "categorical", choices: [null, true, false, 1.5, 1e-7, 3, "a", 'é\n"\u{1f600}'] },
    '{"name": "CategoricalDistribution", "attributes": {"choices": [null, true, false, 1.5, 1e-07, 3, "a", "\\u00e9\\n\\"\\ud83d\\ude00"]}}',
  ],
];

describe("distributions", () => {
  test.each(texts)("are written as Optuna writes them: %s", (_, distribution, text) => {
    expect(distributionToJson(distribution)).toBe(text);
    // Read back, and written once more: `high` is on its grid by then.
    expect(distributionToJson(distributionFromJson(text))).toBe(text);
  });

  test.each<[string, Distribution]>([
    [
      '{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}',
      { kind: "float", low: 0, high: 1, step: 0.25 },
    ],
    [
      '{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 64}}',
      { kind: "int", low: 1, high: 64, log: true },
    ],
    [
      '{"name": "UniformDistribution", "attributes": {"low": -1, "high": 1}}',
      { kind: "float", low: -1, high: 1 },
    ],
    [
      '{"name": "LogUniformDistribution", "attributes": {"low": 1e-06, "high": 0.001}}',
      { kind: "float", low: 1e-6, high: 1e-3, log: true },
    ],
    [
      '{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 1.0, "q": 0.25}}',
      { kind: "float", low: 0, high: 1, step: 0.25 },
    ],
    [
      '{"name": "IntUniformDistribution", "attributes": {"low": 0, "high": 12}}',
      { kind: "int", low: 0, high: 12 },
    ],
    [
      '{"name": "IntUniformDistribution", "attributes": {"step": 2, "low": 0, "high": 12}}',
      { kind: "int", low: 0, high: 12, step: 2 },
    ],
    [
      '{"name": "IntLogUniformDistribution", "attributes": {"step": 1, "low": 1, "high": 64}}',
      { kind: "int", low: 1, high: 64, log: true },
    ],
    [
      '{"type": "float", "low": 1e-6, "high": 1, "log": true}',
      { kind: "float", low: 1e-6, high: 1, log: true },
    ],
    ['{"type": "int", "low": 0, "high": 8, "step": 2}', { kind: "int", low: 0, high: 8, step: 2 }],
    ['{"type": "categorical", "choices": [1, "é", null]}', { kind: "categorical", choices: [1, "é", null] }],
  ])("of any age are read: %s", (text, distribution) => {
    expect(distributionFromJson(text)).toStrictEqual(distribution);
  });

  test.each([
    '{"name": "NormalDistribution", "attributes": {"low": 0, "high": 1}}',
    '{"name": "FloatDistribution", "attributes": {"low": 0}}',
    '{"name": "FloatDistribution", "attributes": {"low": "0", "high": 1}}',
    '{"name": "CategoricalDistribution", "attributes": {}}',
    "null",
    "{",
  ])("of no known form are refused with the text: %s", (text) => {
    expect(() => distributionFromJson(text)).toThrowError(
      expect.objectContaining({
        code: "ERR_STORE_DISTRIBUTION",
        issues: [expect.objectContaining({ received: text })],
      }),
    );
  });
});

describe("JSON as Python writes it", () => {
  // json.dumps of CPython 3.11 gives each of these texts.
  test.each<[string, unknown]>([
    ["null", null],
    ["-1.5", -1.5],
    ["1e-07", 1e-7],
    ["1e+16", 1e16],
    ["9007199254740993", 2n ** 53n + 1n],
    ["1152921504606846976", 2n ** 60n],
    ["-1152921504606846976", -(2n ** 60n)],
    ['"\\u00e9"', "é"],
    ['"\\ud83d\\ude00 \\u007f \\u2028 \\"\\\\/\\n"', '\u{1f600} \u007f \u2028 "\\/\n'],
    ['{"\\u00e9": [1, {"a": []}, {}], "b": false}', { é: [1, { a: [] }, {}], b: false }],
    ['"NaN and Infinity, 1152921504606846976"', "NaN and Infinity, 1152921504606846976"],
    ['{"NaN": 1, "a": "x\\\\"}', { NaN: 1, a: "x\\" }],
  ])("goes there and back: %s", (text, value) => {
    expect(writeJson(value, "it")).toBe(text);
    expect(readJson(text)).toStrictEqual(value);
  });

  test.each<[string, unknown]>([
    ["NaN", Number.NaN],
    ["-Infinity", Number.NEGATIVE_INFINITY],
    [
      '{"a": [NaN, Infinity, -Infinity], "b": "NaN"}',
      { a: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], b: "NaN" },
    ],
    ["[0.1234567890123456789, 1e400, -0.0]", [0.12345678901234568, Number.POSITIVE_INFINITY, -0]],
    ['\n[ 1152921504606846976 ,{ "a" : NaN } , true, null ]\t', [2n ** 60n, { a: Number.NaN }, true, null]],
  ])("is read beyond the standard: %s", (text, value) => {
    expect(readJson(text)).toStrictEqual(value);
  });

  test.each(["[NaN", "[NaN,]", "{NaN: 1}", '{"a" NaN}', "NaN NaN", "Infinit", "[-NaN]", "+Infinity", '"NaN'])(
    "is refused where even Python refuses: %s",
    (text) => {
      expect(() => readJson(text)).toThrow(SyntaxError);
    },
  );

  test("is not written beyond the standard: what, and where", () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = [cycle];
    for (const [value, path, received] of [
      [Number.NaN, "attr", "NaN"],
      [{ a: [1, Number.NEGATIVE_INFINITY] }, "attr.a[1]", "-Infinity"],
      [{ a: () => 0 }, "attr.a", "function"],
      [{ a: Symbol("s") }, "attr.a", "symbol"],
      [undefined, "attr", "undefined"],
      [{ a: new Map() }, "attr.a", "Map"],
      [cycle, "attr.self[0]", "a cycle"],
    ] as const)
      expect(() => writeJson(value, "attr")).toThrowError(
        expect.objectContaining({
          code: "ERR_STORE_JSON",
          issues: [expect.objectContaining({ path, received })],
        }),
      );
    const shared = [1];
    expect(writeJson({ a: shared, b: shared, c: undefined }, "attr")).toBe('{"a": [1], "b": [1]}');
    expect(writeJson([Float32Array.of(0.5), new Date(0)], "attr")).toBe(
      '[[0.5], "1970-01-01T00:00:00.000Z"]',
    );
  });

  test.each([
    [0, "0.0"],
    [-0, "-0.0"],
    [1, "1.0"],
    [1e-4, "0.0001"],
    [1e-5, "1e-05"],
    [1.5e-7, "1.5e-07"],
    [1e15, "1000000000000000.0"],
    [1e16, "1e+16"],
    [1.25e100, "1.25e+100"],
    [0.1 + 0.2, "0.30000000000000004"],
    [5e-324, "5e-324"],
  ])("a float is Python's repr: %d", (value, text) => {
    expect(pythonFloat(value)).toBe(text);
  });
});
