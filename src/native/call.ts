import { NativeError } from "../errors.js";
import type { NativeAddon } from "./contract.js";
import { loadAddon } from "./loader.js";

/** The addon of this thread, typed. */
export const addon = (): NativeAddon => loadAddon() as NativeAddon;

/**
 * Awaits a call into the addon and gives its errors our class and the caller's stack: a native error's own stack begins
 * in the event loop, where nobody can see who called.
 *
 * @throws NativeError with the addon's `code` (ERR_ARG, ERR_SHAPE, ERR_RANGE, ERR_BUSY, ERR_CANCELLED, ERR_DISPOSED, ERR_STATE, ERR_MEMORY).
 */
export async function call<T>(what: string, start: () => T | Promise<T>): Promise<T> {
  const caller = new Error();
  try {
    return await start();
  } catch (cause) {
    const { code = "ERR_NATIVE", message } = cause as NodeJS.ErrnoException;
    const error = new NativeError(code, `${what}: ${message}`, [], { cause });
    error.stack = `${error.name}: ${error.message}\n${caller.stack?.split("\n").slice(2).join("\n")}`;
    throw error;
  }
}

/** What the abort of a signal calls, and the one listener that calls it. */
interface Listener {
  readonly cancels: Set<() => void>;
  readonly fire: () => void;
}

/** One listener a signal: Node warns of an eleventh, and a server gives the same signal to all its requests. */
const listeners = new WeakMap<AbortSignal, Listener>();

/**
 * Calls `cancel` when the signal aborts; one that is aborted already calls nothing.
 *
 * @returns forgets `cancel`.
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

/** Calls `cancel` when the signal aborts while `work` runs; the signal's reason is thrown if it was aborted before. */
export async function withSignal<T>(
  signal: AbortSignal | undefined,
  cancel: () => void,
  work: () => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const forget = onAbort(signal, cancel);
  try {
    return await work();
  } finally {
    forget();
  }
}
