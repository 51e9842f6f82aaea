import { expect, it } from "vitest";
import * as w from "../../../src/analysis/words.js";

it("numbers as words", () => {
  expect([w.fixed(-0.04, 1), w.fixed(-0.06, 1), w.fixed(null, 1), w.fixed(Number.NaN, 1)]).toEqual([
    "0.0",
    "−0.1",
    "–",
    "–",
  ]);
  expect([w.points(0.0042), w.points(-0.0042), w.points(0), w.percent(0.9674)]).toEqual([
    "+0.4",
    "−0.4",
    "0.0",
    "96.7",
  ]);
  expect([0.0004, 0.0341, 0.9999, 1, null].map((p) => w.probability(p))).toEqual([
    "<.001",
    ".034",
    "1",
    "1",
    "–",
  ]);
  expect([-0.412, 0.08, 1, -0.004, null].map((r) => w.correlation(r))).toEqual([
    "−.41",
    ".08",
    "1.00",
    ".00",
    "–",
  ]);
  expect([0, 2e-5, 1.34e-3, 1].map(w.rate)).toEqual(["frozen", "2e-5", "1.3e-3", "1e0"]);
  expect([950, 1_800_000, 22_713_216, 2.5e14, 0, 0.5].map(w.large)).toEqual([
    "950",
    "1.80 M",
    "22.7 M",
    "250 T",
    "0",
    "0.50",
  ]);
  expect([0.843, 5.02, 24.4, 59.7, 200, 3599.8, 7190, 7500, Number.NaN].map(w.duration)).toEqual([
    "0.84 s",
    "5.0 s",
    "24 s",
    "1 min 0 s",
    "3 min 20 s",
    "1 h 0 min",
    "2 h 0 min",
    "2 h 5 min",
    "–",
  ]);
  expect(w.groupList(["embeddings", "layer.0", "layer.1", "layer.2", "layer.4", "head"])).toBe(
    "embeddings, layer.0–2, layer.4, head",
  );
  expect([w.plural(1, "row"), w.plural(0, "row")]).toEqual(["1 row", "0 rows"]);
});
