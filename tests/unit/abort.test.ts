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

test("one that throws keeps none of the others from its call", () => {
  const stop = new AbortController();
  const thrown = vi.fn();
  process.once("uncaughtException", thrown);
  const after = vi.fn();
  onAbort(stop.signal, () => {
    throw new Error("of the first");
  });
  onAbort(stop.signal, after);
  stop.abort();
  expect(after).toHaveBeenCalledOnce();
});

test("a signal whose listeners were all forgotten is listened to again", () => {
  const stop = new AbortController();
  onAbort(stop.signal, () => {})();
  const cancel = vi.fn();
  onAbort(stop.signal, cancel);
  stop.abort();
  expect(cancel).toHaveBeenCalledOnce();
});
