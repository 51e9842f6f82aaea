// What waits before the core, without a core: who is taken with whom, in which order, and who leaves.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Asked, Batcher } from "../../../src/native/batcher.js";

const tick = () => new Promise((done) => setImmediate(done));
const warned = vi.fn();
beforeEach(() => {
  warned.mockClear();
  process.on("warning", warned);
});
afterEach(() => process.off("warning", warned));

/** Answers with the question, at most `most` at once; `log` has what was taken together. */
function echo(most = 1) {
  const log: string[] = [];
  const batcher = new Batcher<string, string>(async (next) => {
    await tick();
    const taken: Asked<string, string>[] = [];
    for (let asked = next(); asked && taken.length < most; asked = next()) {
      asked.take();
      taken.push(asked);
    }
    log.push(taken.map(({ question }) => question).join("+"));
    await tick();
    for (const asked of taken) {
      if (asked.question === "bad") asked.refuse("refused");
      else if (asked.question === "fault") throw new Error("failed");
      else asked.answer(asked.question);
    }
  });
  return { batcher, log };
}

/** Takes the first, and does nothing more until it is told to end. */
function blocked() {
  let end = () => {};
  const signals: AbortSignal[] = [];
  const batcher = new Batcher<string, string>(async (next, signal) => {
    signals.push(signal);
    const asked = next()!;
    asked.take();
    await new Promise<void>((resolve) => (end = resolve));
    asked.answer(asked.question);
  });
  return { batcher, signals, end: () => end() };
}

test("one at a time, in the order of asking; what fails gives its turn on", async () => {
  const { batcher, log } = echo();
  const all = await Promise.allSettled(["a", "bad", "fault", "b"].map((name) => batcher.ask(name)));
  expect(log).toEqual(["a", "bad", "fault", "b"]);
  expect(all.map((result) => (result.status === "fulfilled" ? result.value : String(result.reason)))).toEqual(
    ["a", "refused", "Error: failed", "b"],
  );
});

test("those that wait are taken together; of one that fails, those that have no answer yet fail", async () => {
  const { batcher, log } = echo(3);
  const all = await Promise.allSettled(["a", "bad", "b", "c", "fault", "d", "e"].map((q) => batcher.ask(q)));
  expect(log).toEqual(["a+bad+b", "c+fault+d", "e"]);
  expect(all.map(({ status }) => status[0]).join("")).toBe("frffrrf");
});

test("work that fails before it takes anybody: the first is refused, and only that", async () => {
  let works = 0;
  const batcher = new Batcher<string, string>(async (next) => {
    if (works++ === 0) throw new Error("failed");
    const asked = next()!;
    asked.take();
    asked.answer(asked.question);
  });
  const all = await Promise.allSettled(["a", "b"].map((question) => batcher.ask(question)));
  expect(all.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
});

test("work that fails because it was stopped refuses nobody who waits", async () => {
  const batcher = new Batcher<string, string>(async (next, signal) => {
    const asked = next()!;
    asked.take();
    await tick();
    signal.throwIfAborted();
    asked.answer(asked.question);
  });
  const stop = new AbortController();
  const gone = batcher.ask("a", stop.signal);
  const behind = batcher.ask("b");
  stop.abort("gone");
  await expect(gone).rejects.toBe("gone");
  expect(await behind).toBe("b");
});

test("asked in pieces, others get their turn between them", async () => {
  const { batcher, log } = echo();
  const request = async (name: string, pieces: number) => {
    for (let i = 0; i < pieces; i++) await batcher.ask(name);
  };
  await Promise.all([request("long", 4), request("a", 1), request("b", 2)]);
  expect(log.join(" ")).toBe("long a b long b long long");
});

test("gone while it waits: rejected at once, and never taken", async () => {
  const { batcher, log } = echo();
  const stop = new AbortController();
  const first = batcher.ask("first");
  const waiting = batcher.ask("waiting", stop.signal);
  const behind = batcher.ask("behind");
  stop.abort("gone");
  await expect(waiting).rejects.toBe("gone");
  await expect(batcher.ask("late", stop.signal)).rejects.toBe("gone");
  expect(await Promise.all([first, behind])).toEqual(["first", "behind"]);
  expect(log).toEqual(["first", "behind"]);
});

test("gone while it is worked on: rejected at once; the work stops when nobody is left", async () => {
  const { batcher, signals, end } = blocked();
  const stop = new AbortController();
  const running = batcher.ask("a", stop.signal);
  const behind = batcher.ask("b");
  stop.abort("gone");
  await expect(running).rejects.toBe("gone");
  expect([signals[0]!.aborted, signals[0]!.reason]).toEqual([true, "gone"]);
  end();
  await tick();
  end();
  expect(await behind).toBe("b");
  expect(signals[1]!.aborted).toBe(false);
});

test("one of two gone while both are worked on: the work goes on for the other", async () => {
  let work: AbortSignal | undefined;
  let end = () => {};
  const batcher = new Batcher<string, string>(async (next, signal) => {
    work = signal;
    await tick();
    const both = [0, 1].map(() => {
      const asked = next()!;
      asked.take();
      return asked;
    });
    await new Promise<void>((resolve) => (end = resolve));
    for (const asked of both) asked.answer(asked.question);
  });
  const stop = new AbortController();
  const [a, b] = [batcher.ask("a", stop.signal), batcher.ask("b")];
  await tick();
  await tick();
  stop.abort("gone");
  await expect(a).rejects.toBe("gone");
  expect(work!.aborted).toBe(false);
  end();
  expect(await b).toBe("b");
});

test("all can be refused, what is worked on too; it goes on", async () => {
  const { batcher, signals, end } = blocked();
  const all = Promise.allSettled(["a", "b", "c"].map((question) => batcher.ask(question)));
  batcher.refuseAll("closed");
  for (const result of await all) expect(result).toEqual({ status: "rejected", reason: "closed" });
  expect(signals[0]!.aborted).toBe(true);
  end();
  await tick();
  const later = batcher.ask("later");
  end();
  expect(await later).toBe("later");
});

test("many that wait share one listener of their signal, and leave none behind", async () => {
  const { batcher } = echo(4);
  const stop = new AbortController();
  const add = vi.spyOn(stop.signal, "addEventListener");
  const remove = vi.spyOn(stop.signal, "removeEventListener");
  await Promise.all(Array.from({ length: 30 }, () => batcher.ask("q", stop.signal)));
  expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 1]);
  await tick();
  expect(warned).not.toHaveBeenCalled();
});
