import { setImmediate } from "node:timers/promises";

/** The longest work without a turn, but for what its pieces take. */
const HOLD_MS = 8;

/**
 * Long work in JavaScript holds up whatever else the process does, a service its requests. Awaited between two pieces of the
 * work, what this returns lets the event loop turn once the work has held it for 8 ms.
 *
 *     const turn = turns();
 *     for (const row of rows) {
 *       encode(row);
 *       await turn();
 *     }
 *
 * @param signal its reason is thrown where the loop turns: what aborts the work could be heard there only.
 */
export function turns(signal?: AbortSignal): () => Promise<void> | undefined {
  let last = performance.now();
  const pause = async () => {
    await setImmediate();
    signal?.throwIfAborted();
    last = performance.now();
  };
  return () => (performance.now() - last < HOLD_MS ? undefined : pause());
}

/** Long work that stops for a moment between its pieces. */
export type Pieces<T> = Generator<void, T>;

export function atOnce<T>(work: Pieces<T>): T {
  for (;;) {
    const piece = work.next();
    if (piece.done) return piece.value;
  }
}

/** With the turns of `turns` between its pieces. */
export async function inTurns<T>(work: Pieces<T>, signal?: AbortSignal): Promise<T> {
  const turn = turns(signal);
  for (;;) {
    const piece = work.next();
    if (piece.done) return piece.value;
    await turn();
  }
}
