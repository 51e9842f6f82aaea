import { onAbort } from "../abort.js";

/** Somebody who waits for an answer. Answers and refusals after the first, or after their signal aborted, do nothing. */
export interface Asked<Q, A> {
  readonly question: Q;
  /** Out of the queue: to be answered by the work that took it. */
  take(): void;
  answer(value: A): void;
  refuse(reason: unknown): void;
}

/** Who has waited longest; undefined when nobody waits. It stays first until it is taken, refused or gone. */
export type Next<Q, A> = () => Asked<Q, A> | undefined;

/**
 * One piece of work at a time, for one or more of those that wait. The core's executor is a queue too, but what waits there
 * holds its memory, cannot leave and is computed by itself; what waits here costs a closure. Who has much to ask asks in
 * pieces: each goes to the end of the queue, so that others get their turn between them.
 */
export class Batcher<Q, A> {
  readonly #waiting = new Set<Asked<Q, A>>();
  /** By the work that is going on, and not yet answered. */
  readonly #taken = new Set<Asked<Q, A>>();
  #stop: AbortController | undefined;

  /**
   * @param work takes the first that waits, or refuses it, and may take others, all before it does anything else; then it
   *   answers or refuses each it took. What it throws refuses those that are left. Its signal aborts when all it took have gone.
   */
  constructor(private readonly work: (next: Next<Q, A>, signal: AbortSignal) => Promise<void>) {}

  /** @throws what the work refuses or fails with; the signal's reason, at once; the reason of `refuseAll`. */
  ask(question: Q, signal?: AbortSignal): Promise<A> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const leave = () => {
        forget();
        this.#waiting.delete(asked);
        this.#taken.delete(asked);
      };
      const asked: Asked<Q, A> = {
        question,
        take: () => {
          if (this.#waiting.delete(asked)) this.#taken.add(asked);
        },
        answer(value) {
          leave();
          resolve(value);
        },
        refuse(reason) {
          leave();
          reject(reason);
        },
      };
      const forget = onAbort(signal, () => {
        const last = this.#taken.has(asked) && this.#taken.size === 1;
        asked.refuse(signal!.reason);
        if (last) this.#stop?.abort(signal!.reason);
      });
      this.#waiting.add(asked);
      if (!this.#stop) void this.#run();
    });
  }

  /** Refuses all that wait for an answer, and stops the work. */
  refuseAll(reason: unknown): void {
    if (this.#taken.size > 0) this.#stop?.abort(reason);
    for (const asked of [...this.#waiting, ...this.#taken]) asked.refuse(reason);
  }

  async #run(): Promise<void> {
    const first: Next<Q, A> = () => this.#waiting.values().next().value;
    for (let asked = first(); asked; asked = first()) {
      this.#stop = new AbortController();
      let failure: unknown = new Error("the work ended without an answer");
      try {
        await this.work(first, this.#stop.signal);
      } catch (error) {
        failure = error;
      }
      for (const taken of [...this.#taken]) taken.refuse(failure);
      if (first() === asked) asked.refuse(failure); // not even taken, and would not be again
    }
    this.#stop = undefined;
  }
}
