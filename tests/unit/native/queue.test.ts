// The queue before the core, without a core: who waits, in which order, and who leaves.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { onAbort } from "../../../src/native/call.js";
import { Queue } from "../../../src/native/queue.js";

const tick = () => new Promise((done) => setImmediate(done));
const warned = vi.fn();
beforeEach(() => {
  warned.mockClear();
  process.on("warning", warned);
});
afterEach(() => process.off("warning", warned));

/** Work that ends when it is told to. */
function blocker(queue: Queue) {
  let end = () => {};
  const done = queue.run(() => new Promise<void>((resolve) => (end = resolve)));
  return { done, end: () => end() };
}

test("one at a time, in the order of asking; what fails gives its turn on", async () => {
  const queue = new Queue();
  const log: string[] = [];
  const work = (name: string) => async () => {
    log.push(`${name} begins`);
    await tick();
    log.push(`${name} ends`);
    if (name === "b") throw new Error("b failed");
    return name;
  };
  const all = await Promise.allSettled(["a", "b", "c"].map((name) => queue.run(work(name))));
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  expect(all.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("work asked for in pieces takes turns with others", async () => {
  const queue = new Queue();
  const log: string[] = [];
  const request = async (name: string, pieces: number) => {
    for (let i = 0; i < pieces; i++) {
      await queue.run(async () => {
        log.push(name);
        await tick();
      });
    }
  };
  await Promise.all([request("long", 4), request("a", 1), request("b", 2)]);
  expect(log.join(" ")).toBe("long a b long b long long");
});

test("an abort while waiting: rejected at once, and never begun", async () => {
  const queue = new Queue();
  const first = blocker(queue);
  const stop = new AbortController();
  const work = vi.fn(async () => {});
  const waiting = queue.run(work, stop.signal);
  const behind = queue.run(async () => "behind");
  stop.abort("gone");
  await expect(waiting).rejects.toBe("gone");
  await expect(queue.run(work, stop.signal)).rejects.toBe("gone");
  first.end();
  expect(await behind).toBe("behind");
  expect(work).not.toHaveBeenCalled();
});

test("all that waits can be refused; the queue goes on", async () => {
  const queue = new Queue();
  const first = blocker(queue);
  const waiting = Promise.allSettled([1, 2, 3].map(() => queue.run(async () => {})));
  queue.refuseAll("closed");
  for (const result of await waiting) expect(result).toEqual({ status: "rejected", reason: "closed" });
  first.end();
  await first.done;
  expect(await queue.run(async () => "later")).toBe("later");
});

test("many that wait share one listener of their signal, and leave none behind", async () => {
  const queue = new Queue();
  const stop = new AbortController();
  const add = vi.spyOn(stop.signal, "addEventListener");
  const remove = vi.spyOn(stop.signal, "removeEventListener");
  await Promise.all(Array.from({ length: 30 }, () => queue.run(tick, stop.signal)));
  expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 1]);
  await tick();
  expect(warned).not.toHaveBeenCalled();
});

test("onAbort: each call once, none that was forgotten", () => {
  const stop = new AbortController();
  const cancel = vi.fn();
  const forgotten = onAbort(stop.signal, cancel);
  onAbort(stop.signal, cancel);
  onAbort(stop.signal, cancel);
  forgotten();
  forgotten();
  stop.abort();
  expect(cancel).toHaveBeenCalledTimes(2);
});
