/**
 * Which queued trials run together. The lanes of a session wait for the slowest of them every few steps, and a thread that
 * helps with another's lane does less than one with its own: so trials of similar cost share a session, and where their
 * number leaves lanes empty the cheapest are left. What a trial gives does not depend on its company, so this decides time
 * alone.
 *
 * A time limit may end the search before all groups have run. The randomised arm must then still be a sample of the whole
 * space, and not of its cheap part: groups run in the order of the turns of their first members. Which member is first is
 * decided by its parameters alone, those say nothing of turns, and each group has one: every order of the groups is
 * equally likely.
 */
import type { QueuedTrial } from "../study/study.js";
import type { LayerRates } from "../train/layer-rates.js";
import { decodeRates } from "./space.js";

/**
 * The trials to run next, as ids; none when the next is an optimised one: those run in the order they are proposed in.
 *
 * Holding a proposal back until one of its depth comes would make it stale. Giving the later proposals of a group the
 * first's `freeze_to` makes lanes of like cost, but the study then tries fewer depths, and what it found was no better, by
 * trend worse (−.0007 ± .0005 of accuracy, 80 pairs of simulated studies).
 *
 * @param queued in the order of turns.
 */
export function nextGroup(
  queued: readonly QueuedTrial[],
  groups: readonly string[],
  lanes: number,
): number[] {
  const arm = queued[0]?.arm;
  if (arm === undefined || arm === "optimized") return [];
  const block = queued
    .filter((trial) => trial.arm === arm)
    .map(({ trialId, params }, turn) => ({
      ...{ trialId, turn, cost: stepCost(decodeRates(groups, params)) },
      rate: Number(params.learning_rate),
    }))
    .sort((a, b) => b.cost - a.cost || a.rate - b.rate || a.turn - b.turn);
  const together = Array.from({ length: Math.ceil(block.length / lanes) }, (_, i) =>
    block.slice(i * lanes, (i + 1) * lanes),
  );
  const next = together.reduce((first, group) => (group[0]!.turn < first[0]!.turn ? group : first));
  return next.map(({ trialId }) => trialId);
}

/**
 * Cost of a training step in passes over a layer: above the frozen prefix, which is computed once and read back, each layer
 * goes forward, passes a gradient on unless it is the lowest that trains, and forms its weights' gradient if it trains.
 */
export function stepCost(rates: LayerRates): number {
  const encoder = Object.entries(rates)
    .filter(([group]) => group !== "head")
    .map(([, rate]) => rate > 0);
  const lowest = encoder.indexOf(true);
  if (lowest < 0) return 0;
  return encoder.slice(lowest).reduce((cost, trains, i) => cost + 1 + (i > 0 ? 1 : 0) + (trains ? 1 : 0), 0);
}
