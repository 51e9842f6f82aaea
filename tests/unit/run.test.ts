/** A run as a caller sees it: result, progress, and every way to stop it. */
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Run } from "../../src/run.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Work that ends only when it is told to. */
const endless = (_: unknown, signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    // As the core does it: a poll, so that nothing but the run itself holds on to the signal.
    const poll = setInterval(() => {
      if (!signal.aborted) return;
      clearInterval(poll);
      reject(signal.reason);
    }, 5);
  });

test("a signal that nobody else holds still aborts, whatever the garbage collector does", async () => {
  const run = new Run(endless, AbortSignal.timeout(300));
  const collect = setInterval(gc, 10);
  const outcome = await Promise.race([
    run.then(null, (error: unknown) => (error as Error).name),
    sleep(3000, "never aborted"),
  ]);
  clearInterval(collect);
  await run[Symbol.asyncDispose]();
  expect(outcome).toBe("TimeoutError");
});

test("two iterations share the events, and both end", async () => {
  const run = new Run(async (emit: (event: number) => void) => {
    for (let i = 0; i < 4; i++) {
      emit(i);
      await sleep(5);
    }
  });
  const seen: number[] = [];
  const read = async () => {
    for await (const event of run) seen.push(event);
  };
  await Promise.all([read(), read()]);
  expect(seen.sort()).toEqual([0, 1, 2, 3]);
});

test.each([
  ["while next() waits", (events: AsyncGenerator<never>) => void events.next()],
  ["before the first next()", () => {}],
])("an iteration that is left %s aborts the work", async (_, before) => {
  for (const leave of ["return", "throw", "dispose"] as const) {
    let ended = false;
    const run = new Run<never, never>((emit, signal) => endless(emit, signal).finally(() => (ended = true)));
    const events = run[Symbol.asyncIterator]();
    await sleep(10);
    before(events);
    const error = new Error("left");
    if (leave === "return") expect(await events.return()).toEqual({ done: true, value: undefined });
    else if (leave === "throw") await expect(events.throw(error)).rejects.toBe(error);
    else await events[Symbol.asyncDispose]();
    expect(ended).toBe(true);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  }
});

test("a next() that waits when its iteration is left finds the end, not an error", async () => {
  const events = new Run<never, never>(endless)[Symbol.asyncIterator]();
  const waiting = events.next();
  await sleep(10);
  await events.return();
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test("rejects with the signal's reason, aborted before or during the work", async () => {
  const reason = new Error("enough");
  await expect(new Run(endless, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const run = new Run(endless, controller.signal);
  setTimeout(() => controller.abort(reason), 20);
  await expect(run).rejects.toBe(reason);
});

test("leaves no listener on a signal that outlives it", async () => {
  const { signal } = new AbortController();
  const listeners: string[] = [];
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners.push("added");
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners.push("removed");
    remove(...args);
  };
  expect(await new Run(async () => 7, signal)).toBe(7);
  await expect(
    new Run(async () => {
      throw new Error("failed");
    }, signal),
  ).rejects.toThrow("failed");
  expect(listeners).toEqual(["added", "removed", "added", "removed"]);
});

test("yields every event; leaving the iteration stops the work", async () => {
  const counted = new Run<number, string>(async (emit) => {
    for (let i = 0; i < 3; i += 1) emit(i);
    return "done";
  });
  const seen: number[] = [];
  for await (const event of counted) seen.push(event);
  expect([seen, await counted]).toEqual([[0, 1, 2], "done"]);

  let stopped: AbortSignal | undefined;
  const left = new Run<number, never>((emit, signal) => {
    emit(1);
    stopped = signal;
    return endless(emit, signal);
  });
  for await (const _ of left) break;
  expect(stopped!.aborted).toBe(true);
});

test("has what a promise has: catch and finally", async () => {
  const failed = new Run(async () => {
    throw new Error("gone wrong");
  });
  expect(await failed.catch((error: unknown) => (error as Error).message)).toBe("gone wrong");
  const done: string[] = [];
  await expect(failed.finally(() => done.push("failed"))).rejects.toThrow("gone wrong");
  expect(await new Run(async () => 3).finally(() => done.push("well"))).toBe(3);
  expect(done).toEqual(["failed", "well"]);
});

test("thirty runs may share a signal: no warning of a leak, and an abort reaches all", async () => {
  const warned: Error[] = [];
  const note = (warning: Error) => warned.push(warning);
  process.on("warning", note);
  const stop = new AbortController();
  const runs = Array.from({ length: 30 }, () => new Run(endless, stop.signal));
  await sleep(10);
  const reason = new Error("enough");
  stop.abort(reason);
  const outcomes = await Promise.allSettled(runs);
  process.off("warning", note);
  expect(outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason)).toEqual(
    runs.map(() => reason),
  );
  expect(warned).toEqual([]);
});
