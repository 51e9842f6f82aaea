/** What the abort of a signal calls, and the one listener that calls it. */
interface Listener {
  readonly cancels: Set<() => void>;
  readonly fire: () => void;
}

/** One listener a signal: Node 20 warns of an eleventh, and a server gives the same signal to all its requests. */
const listeners = new WeakMap<AbortSignal, Listener>();

/**
 * Calls `cancel` when the signal aborts; one that is aborted already calls nothing.
 *
 * @returns a function that forgets `cancel`. It keeps the signal alive, which Node may collect before it aborts where nobody
 *   else holds it.
 */
export function onAbort(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (!signal) return () => {};
  const { cancels, fire } = listeners.get(signal) ?? listen(signal);
  const own = () => cancel(); // two may be the same function
  cancels.add(own);
  return () => {
    if (!cancels.delete(own) || cancels.size > 0) return;
    signal.removeEventListener("abort", fire);
    listeners.delete(signal);
  };
}

function listen(signal: AbortSignal): Listener {
  const cancels = new Set<() => void>();
  const fire = () => {
    const errors: unknown[] = [];
    for (const cancel of [...cancels]) {
      try {
        cancel();
      } catch (error) {
        errors.push(error); // the others wait for the same signal
      }
    }
    if (errors.length > 0) throw errors[0];
  };
  const listener = { cancels, fire };
  listeners.set(signal, listener);
  signal.addEventListener("abort", fire, { once: true });
  return listener;
}
