/** Cost against value, and the course of a search. */
import type { Direction } from "../study/types.js";
import type { HistoryPoint, ParetoPoint } from "./findings.js";
import type { LayerTrial } from "./types.js";

/** Complete, with a finite value: what may be compared. */
export function isUsable(trial: LayerTrial): trial is LayerTrial & { readonly value: number } {
  return trial.state === "COMPLETE" && trial.value !== null && Number.isFinite(trial.value);
}

/** value, turned so that larger is better. */
export function oriented(value: number, direction: Direction): number {
  return direction === "maximize" ? value : -value;
}

/** Best first, as the search chooses: ties by fewer FLOPs, then by lower loss on validation, then by lower number. */
export function bestTrials(trials: readonly LayerTrial[], direction: Direction): LayerTrial[] {
  return trials
    .filter(isUsable)
    .sort(
      (a, b) =>
        oriented(b.value, direction) - oriented(a.value, direction) ||
        a.cost.flops - b.cost.flops ||
        lossOf(a) - lossOf(b) ||
        a.number - b.number,
    );
}

const lossOf = (trial: LayerTrial) => trial.validationLoss ?? Number.POSITIVE_INFINITY;

/**
 * Every usable trial, cheapest first, with those on the front marked: no other trial is at least as good and at least
 * as cheap, and better in one of the two. Of exact equals all are on the front.
 */
export function paretoFront(
  trials: readonly LayerTrial[],
  direction: Direction,
  costOf: (trial: LayerTrial) => number = (trial) => trial.cost.flops,
): ParetoPoint[] {
  const points = trials
    .filter(isUsable)
    .map((trial) => ({ trial, value: trial.value, cost: costOf(trial) }))
    .sort((a, b) => a.cost - b.cost || oriented(b.value, direction) - oriented(a.value, direction));
  let best = Number.NEGATIVE_INFINITY;
  let bestCost = Number.NaN;
  return points.map((point) => {
    const height = oriented(point.value, direction);
    const onFront = height > best || (height === best && point.cost === bestCost);
    if (height > best) {
      best = height;
      bestCost = point.cost;
    }
    return { ...point, onFront };
  });
}

/** Trials in the order of their numbers with the best complete value so far. */
export function history(trials: readonly LayerTrial[], direction: Direction): HistoryPoint[] {
  let best: number | null = null;
  return [...trials]
    .sort((a, b) => a.number - b.number)
    .map((trial) => {
      if (isUsable(trial) && (best === null || oriented(trial.value, direction) > oriented(best, direction)))
        best = trial.value;
      return { number: trial.number, arm: trial.arm, state: trial.state, value: trial.value, best };
    });
}
