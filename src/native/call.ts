import { onAbort } from "../abort.js";
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
