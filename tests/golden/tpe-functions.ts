/** The functions of generate_tpe.py: minimised, minimum 0. Change both. */
import type { Params, Space } from "../../src/study/types.js";

export interface TestFunction {
  readonly name: string;
  readonly space: Space;
  readonly value: (params: Params) => number;
}

const float = (name: string, low: number, high: number, more: { log?: boolean; step?: number } = {}) =>
  ({ name, distribution: { kind: "float", low, high, ...more } }) as const;
const int = (name: string, low: number, high: number, more: { log?: boolean } = {}) =>
  ({ name, distribution: { kind: "int", low, high, ...more } }) as const;
const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const num = (params: Params, name: string) => params[name] as number;
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

const SCHEDULES: Readonly<Record<string, number>> = { constant: 0.6, cosine: 0.2, linear: 0 };

export const FUNCTIONS: readonly TestFunction[] = [
  {
    name: "sphere",
    space: range(5).map((i) => float(`x${i}`, -5, 5)),
    value: (p) => sum(range(5).map((i) => (num(p, `x${i}`) - 1) ** 2)),
  },
  {
    name: "branin",
    space: [float("x", -5, 10), float("y", 0, 15)],
    value: (p) => {
      const [x, y] = [num(p, "x"), num(p, "y")];
      const bowl = y - (5.1 / (4 * Math.PI ** 2)) * x * x + (5 / Math.PI) * x - 6;
      return bowl ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10 - 0.39788735772973816;
    },
  },
  {
    name: "ackley",
    space: range(4).map((i) => float(`x${i}`, -10, 10)),
    value: (p) => {
      const x = range(4).map((i) => num(p, `x${i}`));
      const spread = Math.sqrt(sum(x.map((v) => v * v)) / 4);
      const waves = sum(x.map((v) => Math.cos(2 * Math.PI * v))) / 4;
      return 20 - 20 * Math.exp(-0.2 * spread) + Math.E - Math.exp(waves);
    },
  },
  {
    name: "mixed",
    space: [
      float("lr", 1e-6, 1e-2, { log: true }),
      int("batch", 2, 128, { log: true }),
      float("dropout", 0, 0.5, { step: 0.05 }),
      int("depth", 0, 12),
      { name: "schedule", distribution: { kind: "categorical", choices: ["constant", "cosine", "linear"] } },
    ],
    value: (p) =>
      (Math.log10(num(p, "lr")) + 4.3) ** 2 +
      0.1 * Math.log2(num(p, "batch") / 16) ** 2 +
      4 * (num(p, "dropout") - 0.1) ** 2 +
      0.05 * (num(p, "depth") - 4) ** 2 +
      SCHEDULES[p.schedule as string]!,
  },
  {
    name: "layers",
    space: [
      float("lr", 1e-6, 1e-2, { log: true }),
      ...range(4).flatMap((i) => [
        int(`freeze.${i}`, 0, 1),
        { ...float(`offset.${i}`, -1, 1), when: (p: Params) => p[`freeze.${i}`] === 0 },
      ]),
    ],
    value: (p) =>
      (Math.log10(num(p, "lr")) + 4.3) ** 2 +
      sum(
        range(4).map((i) => {
          if (p[`freeze.${i}`] === 1) return i < 2 ? 0 : 0.5;
          return (i < 2 ? 0.1 : 0) + (num(p, `offset.${i}`) - 0.2 * i) ** 2;
        }),
      ),
  },
];
