import { onAbort } from "./abort.js";

/**
 * A piece of long work: await it for the result, iterate it for progress, dispose or abort it to stop.
 *
 *     const run = search(options);
 *     for await (const event of run) show(event);
 *     const result = await run;
 *
 * The work starts in the next microtask, so an iteration begun at once sees every event; of two iterations each event goes to
 * one. Leaving the iteration early, like disposing, aborts the work. A failure is thrown where the run is awaited or iterated;
 * of a run that nobody has begun to, it is an unhandled rejection, as of any promise: whoever keeps runs for later should
 * `run.catch(() => {})`.
 */
export class Run<E, R> implements AsyncIterable<E>, Promise<R>, AsyncDisposable {
  readonly [Symbol.toStringTag] = "Run";
  readonly #result: Promise<R>;
  readonly #stop = new AbortController();
  #events: E[] = [];
  readonly #waiting: (() => void)[] = [];
  #ended = false;
  #iterated = false;

  /** @param body gets an `emit` and a signal that aborts when the run is disposed or `signal` aborts. */
  constructor(body: (emit: (event: E) => void, signal: AbortSignal) => Promise<R>, signal?: AbortSignal) {
    // Not AbortSignal.any: on Node 20 it holds its sources weakly, and one that is collected never aborts.
    const forward = () => this.#stop.abort(signal?.reason);
    if (signal?.aborted) forward();
    // Holds the signal until it is called: a caller may keep no reference, as with an inline `AbortSignal.timeout(…)`.
    const forget = onAbort(signal, forward);
    const emit = (event: E) => {
      this.#events.push(event);
      // Nobody may ever iterate: keep the recent past only.
      if (!this.#iterated && this.#events.length > 10_000) this.#events.splice(0, 5_000);
      this.#wake();
    };
    this.#result = Promise.resolve()
      .then(() => {
        this.#stop.signal.throwIfAborted();
        return body(emit, this.#stop.signal);
      })
      .finally(() => {
        forget();
        this.#ended = true;
        this.#wake();
      });
  }

  // biome-ignore lint/suspicious/noThenProperty: a run is awaited for its result
  then<A = R, B = never>(
    onFulfilled?: ((value: R) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<R | B> {
    return this.#result.catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<R> {
    return this.#result.finally(onFinally);
  }

  /** Leaving it, also while its `next()` waits or before there was one, aborts the work and waits until it has stopped. */
  [Symbol.asyncIterator](): AsyncGenerator<E, void, undefined> {
    this.#iterated = true;
    this.#result.catch(() => {}); // thrown where it is iterated instead
    // By hand: a generator's own return() waits behind a pending next(), and before the first one runs nothing of its body.
    const reader = { left: false };
    const events = this.#read(reader);
    const leave = async () => {
      reader.left = true;
      if (!this.#ended) await this[Symbol.asyncDispose]();
    };
    return {
      next: () => events.next(),
      return: async () => {
        await leave();
        return events.return();
      },
      throw: async (error) => {
        await leave();
        return events.throw(error);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
      [Symbol.asyncDispose]: leave,
    };
  }

  async *#read(reader: { readonly left: boolean }): AsyncGenerator<E, void, undefined> {
    for (;;) {
      while (this.#events.length > 0) {
        if (reader.left) return;
        yield this.#events.shift()!;
      }
      if (reader.left) return;
      if (this.#ended) break;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    await this.#result;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Aborts the work and waits until it has stopped. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("The run was disposed", "AbortError"));
    await this.#result.catch(() => {});
  }
}
