/** `permafrost train --profile`: where the time of training went, kind of operation by kind. */
import type { ProfileRow } from "../native/contract.js";

/** The most this machine was measured to do. */
export interface MachinePeak {
  readonly gflops: number;
  /** Of linear layers, which alone have their products in bf16; with fp32 the same. */
  readonly linearGflops: number;
  readonly gbps: number;
}

type Column = readonly [heading: string, width: number, text: (row: ProfileRow) => string];

/**
 * The largest time first. With a peak: the share of it that arithmetic and memory traffic reached, and the time predicted
 * for the plan, which is what the scarcer of the two would take at its peak (the roofline).
 */
export function profileTable(rows: readonly ProfileRow[], peak?: MachinePeak): string[] {
  const seconds = sumOf(rows, (row) => row.seconds);
  const gflops = ({ kind }: ProfileRow) => (kind.startsWith("linear_") ? peak!.linearGflops : peak!.gflops);
  const predicted = (row: ProfileRow) =>
    Math.max(row.flops / (gflops(row) * 1e9), row.bytes / (peak!.gbps * 1e9));
  const atPeak = (column: Column): Column[] => (peak ? [column] : []);
  const columns: Column[] = [
    ["calls", 9, (row) => String(row.calls)],
    ["ms", 11, (row) => (row.seconds * 1e3).toFixed(1)],
    ...atPeak(["predicted ms", 14, (row) => (predicted(row) * 1e3).toFixed(1)]),
    ["share", 9, (row) => percent(row.seconds / seconds)],
    ["GFLOP/s", 10, (row) => (row.flops > 0 ? rate(row.flops, row).toFixed(0) : "")],
    ...atPeak(["of peak", 9, (row) => (row.flops > 0 ? percent(rate(row.flops, row) / gflops(row)) : "")]),
    ["GB/s", 8, (row) => rate(row.bytes, row).toFixed(1)],
    ...atPeak(["of peak", 9, (row) => percent(rate(row.bytes, row) / peak!.gbps)]),
  ];
  const line = (name: string, cell: (column: Column) => string) =>
    name.padEnd(28) + columns.map((column) => cell(column).padStart(column[1])).join("");
  const sorted = [...rows].sort((a, b) => b.seconds - a.seconds);
  const table = [
    line("operation", ([heading]) => heading),
    ...sorted.map((row) => line(row.kind, ([, , text]) => text(row))),
  ];
  if (!peak) return table;
  const whole = sumOf(rows, predicted);
  const cached = rows.some((row) => rate(row.bytes, row) > peak.gbps);
  return [
    ...table,
    `measured ${(seconds * 1e3).toFixed(1)} ms, predicted ${(whole * 1e3).toFixed(1)} ms at this machine's peak of ` +
      `${peaks(peak)} GFLOP/s and ${peak.gbps.toFixed(1)} GB/s`,
    ...(cached ? ["over 100 % of the memory's peak: served by the processor's caches"] : []),
  ];
}

const peaks = ({ gflops, linearGflops }: MachinePeak) =>
  linearGflops === gflops
    ? gflops.toFixed(0)
    : `${linearGflops.toFixed(0)} (linear layers) and ${gflops.toFixed(0)}`;
const sumOf = (rows: readonly ProfileRow[], value: (row: ProfileRow) => number) =>
  rows.reduce((sum, row) => sum + value(row), 0);
/** Billions a second; 0 for what took no time. */
const rate = (amount: number, { seconds }: ProfileRow) => (seconds > 0 ? amount / seconds / 1e9 : 0);
const percent = (share: number) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "");
