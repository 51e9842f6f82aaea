import { describe, expect, it } from "vitest";
import * as d from "../../../src/analysis/distributions.js";
import { criticalCorrelation, expectedMaximum } from "../../../src/analysis/power.js";
import { stirlingError } from "../../../src/analysis/special.js";
import { expectClose, golden } from "./golden.js";

describe("distributions agree with SciPy to 1e-10, far tails included", () => {
  const functions = {
    normalSf: d.normalSf,
    normalQuantile: d.normalQuantile,
    studentTSf: d.studentTSf,
    studentTUpperQuantile: d.studentTUpperQuantile,
    binomialCdf: d.binomialCdf,
    fairCoinP: d.fairCoinP,
  };
  it.each(Object.keys(functions) as (keyof typeof functions)[])("%s", (name) => {
    const call = functions[name] as (...args: number[]) => number;
    for (const row of golden.distributions[name]) {
      const args = row.slice(0, -1);
      expectClose(call(...args), row.at(-1)!, `${name}(${args.join(", ")})`);
    }
  });

  it("critical correlations and the mean of a maximum", () => {
    for (const [n, alpha, r] of golden.criticalR) expectClose(criticalCorrelation(n, alpha), r, `r(${n})`);
    for (const [k, mean] of golden.expectedMaximum) expectClose(expectedMaximum(k), mean, `max of ${k}`);
  });
});

describe("ends of the range", () => {
  it("normal", () => {
    expect(d.normalSf(0)).toBe(0.5);
    expect(d.normalSf(Number.POSITIVE_INFINITY)).toBe(0);
    expect(d.normalSf(Number.NEGATIVE_INFINITY)).toBe(1);
    expect(d.normalSf(Number.NaN)).toBeNaN();
    expect(d.normalQuantile(0)).toBe(Number.NEGATIVE_INFINITY);
    expect(d.normalQuantile(1)).toBe(Number.POSITIVE_INFINITY);
    expect(d.normalQuantile(1.1)).toBeNaN();
  });

  it("t and binomial", () => {
    expect(d.studentTSf(Number.POSITIVE_INFINITY, 3)).toBe(0);
    expect(d.studentTSf(1, 0)).toBeNaN();
    expect(d.studentTTwoSided(-2, 5)).toBe(d.studentTTwoSided(2, 5));
    expect(d.studentTUpperQuantile(0, 5)).toBeNaN();
    expect(d.binomialCdf(-1, 5, 0.3)).toBe(0);
    expect(d.binomialCdf(5, 5, 0.3)).toBe(1);
    expect(d.fairCoinP(0, 0)).toBe(1);
  });

  it("Stirling's error meets Γ(a+1) = √(2πa)(a/e)^a exp(delta) where the factorial is known", () => {
    // ln 5! = ln 120
    expectClose(0.5 * Math.log(10 * Math.PI) + 5 * Math.log(5) - 5 + stirlingError(5), Math.log(120), "5!");
  });

  it("critical correlation needs three trials", () => expect(criticalCorrelation(2)).toBeNull());
});
