import { expect, test, vi } from "vitest";
import { onAbort } from "../../src/abort.js";

test("each call once, none that was forgotten", () => {
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

test("one that throws keeps none of the others from its call, and is heard of", async () => {
  const stop = new AbortController();
  const thrown = vi.fn();
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", thrown);
  const after = vi.fn();
  onAbort(stop.signal, () => {
    throw new Error("of the first");
  });
  onAbort(stop.signal, after);
  stop.abort();
  await new Promise((done) => setImmediate(done)); // where Node throws what a listener threw
  process.removeAllListeners("uncaughtException");
  for (const other of others) process.on("uncaughtException", other);
  expect(after).toHaveBeenCalledOnce();
  expect(thrown.mock.calls.map(([error]) => error.message)).toEqual(["of the first"]);
});

test("a signal whose listeners were all forgotten is listened to again", () => {
  const stop = new AbortController();
  onAbort(stop.signal, () => {})();
  const cancel = vi.fn();
  onAbort(stop.signal, cancel);
  stop.abort();
  expect(cancel).toHaveBeenCalledOnce();
});
