import { onAbort } from "./call.js";

interface Waiting {
  start(): void;
  refuse(reason: unknown): void;
}

/**
 * One piece of work at a time, in the order of asking. The core's executor is a queue too, but what waits there holds its
 * memory and cannot leave; what waits here costs a closure. Long work is asked for in pieces: each goes to the end of the
 * queue, so that others get their turn between them.
 */
export class Queue {
  readonly #waiting = new Set<Waiting>();
  #busy = false;

  /** @throws the signal's reason, at once when it aborts before `work` has begun; the reason of `refuseAll`. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    await this.#turn(signal);
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  /** Rejects everything that waits; the work that has begun goes on. */
  refuseAll(reason: unknown): void {
    for (const waiting of [...this.#waiting]) waiting.refuse(reason);
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#busy) {
      this.#busy = true;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting);
        forget();
      };
      const waiting: Waiting = {
        start() {
          leave();
          resolve();
        },
        refuse(reason) {
          leave();
          reject(reason);
        },
      };
      const forget = onAbort(signal, () => waiting.refuse(signal!.reason));
      this.#waiting.add(waiting);
    });
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first) first.start();
    else this.#busy = false;
  }
}
