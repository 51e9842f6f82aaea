/** Ranks with ties shared (midranks), from 1. */

/** Values replaced by the index of their value among the sorted distinct values. NaN is not allowed. */
export function distinctIds(values: ArrayLike<number>): { ids: Int32Array; distinct: number } {
  const order = Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ids = new Int32Array(values.length);
  let id = -1;
  let previous = Number.NaN;
  for (const i of order) {
    if (values[i] !== previous) id += 1;
    previous = values[i]!;
    ids[i] = id;
  }
  return { ids, distinct: id + 1 };
}

/**
 * Midranks of a resample, without sorting it: `ids` of the whole sample, `indices` the rows drawn.
 * O(rows + distinct), which is what makes thousands of bootstrap resamples of a rank correlation cheap.
 */
export function midranksOf(ids: Int32Array, distinct: number, indices: ArrayLike<number>): Float64Array {
  const counts = new Int32Array(distinct);
  for (let k = 0; k < indices.length; k += 1) counts[ids[indices[k]!]!]! += 1;
  const rankOf = new Float64Array(distinct);
  let before = 0;
  for (let id = 0; id < distinct; id += 1) {
    rankOf[id] = before + (counts[id]! + 1) / 2;
    before += counts[id]!;
  }
  const ranks = new Float64Array(indices.length);
  for (let k = 0; k < indices.length; k += 1) ranks[k] = rankOf[ids[indices[k]!]!]!;
  return ranks;
}

export function midranks(values: ArrayLike<number>): Float64Array {
  const { ids, distinct } = distinctIds(values);
  return midranksOf(ids, distinct, identity(values.length));
}

/** 0, 1, … n − 1. */
export function identity(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => i);
}

/** Σ (t³ − t) over groups of t tied values: the tie term of rank tests. */
export function tieTerm(values: ArrayLike<number>): number {
  const { ids, distinct } = distinctIds(values);
  const counts = new Float64Array(distinct);
  for (const id of ids) counts[id]! += 1;
  return counts.reduce((sum, t) => sum + (t * t * t - t), 0);
}
