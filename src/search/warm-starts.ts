/** What a careful user would try first: queued before anything is drawn. */
import { decayedRates } from "../train/layer-rates.js";

export interface WarmStart {
  readonly name: string;
  /** Per group; the head's is separate because a new classifier learns from nothing. */
  readonly rates: Readonly<Record<string, number>>;
}

/** Rate of a newly initialised head beside a pretrained encoder. */
const HEAD_RATE = 1e-3;

/**
 * Uniform 2e-5 and 5e-5, layer-wise decay 0.9 from 5e-5 (`decayedRates`), the upper half of the layers alone at 5e-5,
 * the head alone.
 */
export function warmStarts(groups: readonly string[]): WarmStart[] {
  const encoder = groups.slice(0, -1);
  const layers = encoder.length - 1;
  const only = (rate: number, trained: (index: number) => boolean) =>
    Object.fromEntries([...encoder.map((group, i) => [group, trained(i) ? rate : 0]), ["head", HEAD_RATE]]);
  return [
    { name: "uniform 5e-5", rates: only(5e-5, () => true) },
    { name: "uniform 2e-5", rates: only(2e-5, () => true) },
    { name: "layer-wise decay 0.9", rates: { ...decayedRates(groups, 5e-5, 0.9), head: HEAD_RATE } },
    { name: `last ${Math.ceil(layers / 2)}`, rates: only(5e-5, (i) => i > Math.floor(layers / 2)) },
    { name: "head only", rates: only(0, () => false) },
  ];
}
