import { Rng } from "../rng.js";
import { walk } from "../space.js";
import type { Params, Space } from "../types.js";
import { valueAt } from "./random.js";

/**
 * `count` uniform draws that cover every dimension evenly: a Latin hypercube sample (McKay, Beckman, Conover, Technometrics
 * 21, 1979). A dimension's range is cut into `count` parts of equal probability; each draw has one of them, in an order of
 * the dimension's own, and a uniform place within it.
 *
 * Each draw alone is uniform over the space, and every order of the draws is equally likely: exchanging trials under a
 * null hypothesis is as valid as with independent draws. Beside those, no part of a range is missed by chance, effects of
 * single dimensions have a smaller error, and what the draws cost together depends less on luck. A conditional dimension
 * has its parts among all draws, also those it does not exist in.
 *
 * @param seed any safe integer. A dimension's places depend on it, on the dimension's name and on `count` alone.
 */
export function latinHypercube(space: Space, count: number, seed: number): Params[] {
  const places = new Map(
    space.map(({ name }) => [name, stratified(count, new Rng(seed, 0, `random/${name}`))]),
  );
  return Array.from({ length: count }, (_, i) =>
    walk(space, ({ name, distribution }) => valueAt(distribution, places.get(name)![i]!)),
  );
}

/** One place in each of [0, 1/n), [1/n, 2/n), …, shuffled (Fisher–Yates). */
function stratified(n: number, rng: Rng): number[] {
  const places = Array.from({ length: n }, (_, i) => (i + rng.uniform()) / n);
  for (let i = n - 1; i > 0; i -= 1) {
    const j = rng.int(i + 1);
    [places[i], places[j]] = [places[j]!, places[i]!];
  }
  return places;
}
