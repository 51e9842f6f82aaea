import { expect, test } from "vitest";
import { profileTable } from "../../../src/cli/profile.js";

const rows = [
  { kind: "layer_norm_forward", calls: 260, seconds: 0.02, flops: 2e8, bytes: 4e8 },
  { kind: "linear_forward", calls: 480, seconds: 0.5, flops: 50e9, bytes: 2e9 },
  { kind: "optimizer", calls: 20, seconds: 0.08, flops: 0, bytes: 1.2e9 },
];

test("the largest time first, with rates", () => {
  expect(`\n${profileTable(rows).join("\n")}\n`).toMatchInlineSnapshot(`
    "
    operation                       calls         ms    share   GFLOP/s    GB/s
    linear_forward                    480      500.0   83.3 %       100     4.0
    optimizer                          20       80.0   13.3 %              15.0
    layer_norm_forward                260       20.0    3.3 %        10    20.0
    "
  `);
});

test("beside the machine's peak: shares of it, and the time of the scarcer of arithmetic and memory", () => {
  const table = profileTable(rows, { gflops: 125, linearGflops: 125, gbps: 20 });
  expect(`\n${table.join("\n")}\n`).toMatchInlineSnapshot(`
    "
    operation                       calls         ms  predicted ms    share   GFLOP/s  of peak    GB/s  of peak
    linear_forward                    480      500.0         400.0   83.3 %       100   80.0 %     4.0   20.0 %
    optimizer                          20       80.0          60.0   13.3 %                       15.0   75.0 %
    layer_norm_forward                260       20.0          20.0    3.3 %        10    8.0 %    20.0  100.0 %
    measured 600.0 ms, predicted 480.0 ms at this machine's peak of 125 GFLOP/s and 20.0 GB/s
    "
  `);
});

test("more than the peak of memory is explained, when there is any", () => {
  const said = (gbps: number) => profileTable(rows, { gflops: 125, linearGflops: 125, gbps }).at(-1);
  expect(said(19)).toMatch(/caches/);
  expect(said(20)).not.toMatch(/caches/);
});

test("products in bf16: linear layers beside its peak, the rest beside fp32's", () => {
  const attention = { kind: "attention_forward", calls: 1, seconds: 0.1, flops: 1e9, bytes: 0 };
  const table = profileTable([...rows, attention], { gflops: 100, linearGflops: 200, gbps: 20 }).join("\n");
  expect(table).toMatch(/^linear_forward .* 250\.0 .* 50\.0 %/m);
  expect(table).toMatch(/^attention_forward .* 10\.0 .* 10\.0 %/m);
  expect(table).toContain("peak of 200 (linear layers) and 100 GFLOP/s");
});

test("nothing ran, or ran in no time: no NaN", () => {
  expect(profileTable([], { gflops: 1, linearGflops: 1, gbps: 1 }).join()).not.toMatch(/NaN|Infinity/);
  const instant = { kind: "x", calls: 1, seconds: 0, flops: 1, bytes: 1 };
  expect(profileTable([instant]).join()).not.toMatch(/NaN|Infinity/);
});
