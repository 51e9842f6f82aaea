/** What two runs of the same search share: everything but the time they took. */
import type { Comparison } from "../../src/analysis/findings.js";

/** Plain data without its `seconds`, at any depth. */
export const timeless = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, inner) => (key === "seconds" ? undefined : inner)));

/** The sentence about cost tells of seconds too, and `text` holds it. */
export function timelessComparison({ verdict, ...comparison }: Comparison): unknown {
  const { cost: _cost, text: _text, ...words } = verdict;
  return timeless({ ...comparison, verdict: words });
}
