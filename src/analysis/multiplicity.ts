/** Corrections for asking several questions. Input p in any order; the answers come back in the same order. */

/** Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995): q_(i) = min over j ≥ i of p_(j) m / j. */
export function benjaminiHochberg(p: readonly number[]): number[] {
  const m = p.length;
  const order = descending(p);
  const q = new Array<number>(m);
  let least = 1;
  order.forEach((index, k) => {
    least = Math.min(least, (p[index]! * m) / (m - k));
    q[index] = least;
  });
  return q;
}

/** Holm, Scand. J. Stat. 6 (1979): adjusted p_(i) = max over j ≤ i of min(1, p_(j) (m − j + 1)). */
export function holm(p: readonly number[]): number[] {
  const m = p.length;
  const order = descending(p).reverse();
  const adjusted = new Array<number>(m);
  let most = 0;
  order.forEach((index, k) => {
    most = Math.max(most, Math.min(1, p[index]! * (m - k)));
    adjusted[index] = most;
  });
  return adjusted;
}

function descending(p: readonly number[]): number[] {
  if (p.some((value) => !(value >= 0 && value <= 1))) throw new RangeError("p: expected numbers in [0, 1]");
  return p.map((_, i) => i).sort((a, b) => p[b]! - p[a]!);
}
