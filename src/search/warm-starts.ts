/** What a careful user would try first: queued before anything is drawn. */
import { decayedRates } from "../train/layer-rates.js";

export interface WarmStart {
  readonly name: string;
  /** Per group; the head's is separate because a new classifier learns from nothing. */
  readonly rates: Readonly<Record<string, number>>;
}

/** Rate of a newly initialised head beside a pretrained encoder. */
export const HEAD_RATE = 1e-3;

/**
 * Uniform 5e-5, layer-wise decay 0.9 from 5e-5 (`decayedRates`), then at 5e-5 the upper half of the layers alone and the last
 * one alone, and the head alone: from all depths, since a cheap one that is good saves the search most. Uniform 2e-5, the
 * other usual rate, is left to the baseline: with about 200 rows it was the worst of the full ones on banking and on SST-2.
 */
export function warmStarts(groups: readonly string[]): WarmStart[] {
  const encoder = groups.slice(0, -1);
  const layers = encoder.length - 1;
  const only = (rate: number, trained: (index: number) => boolean) =>
    Object.fromEntries([...encoder.map((group, i) => [group, trained(i) ? rate : 0]), ["head", HEAD_RATE]]);
  const last = (count: number) => ({ name: `last ${count}`, rates: only(5e-5, (i) => i > layers - count) });
  return [
    { name: "uniform 5e-5", rates: only(5e-5, () => true) },
    { name: "layer-wise decay 0.9", rates: { ...decayedRates(groups, 5e-5, 0.9), head: HEAD_RATE } },
    ...[...new Set([Math.ceil(layers / 2), 1])].map(last),
    { name: "head only", rates: only(0, () => false) },
  ];
}
