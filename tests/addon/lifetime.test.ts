/**
 * Work that is cancelled or disposed while it runs, threads that die, processes that end: calls settle, results up to there
 * are right, nothing crashes, leaks or hangs.
 */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelHandle, SessionHandle } from "../../src/native/contract.js";
import { bits, bitsOf, cacheOff, chunk, constantRates, native, readAll } from "../golden/native.js";
import { repository } from "../golden/read.js";
import { data, goodChunk, lane, open, spec, weights } from "./small.js";

let model: ModelHandle;
let session: SessionHandle;

beforeAll(async () => {
  ({ model, session } = await open());
});

afterAll(() => native.dispose(model));

test.skipIf(process.platform !== "linux")("dispose ends the model's threads, handle or not", async () => {
  const threads = () => readdirSync("/proc/self/task").length;
  const before = threads();
  const models = await Promise.all(Array.from({ length: 16 }, () => native.createModel(spec, weights)));
  expect(threads()).toBeGreaterThanOrEqual(before + 16);
  for (const each of models) await native.dispose(each);
  expect(threads()).toBeLessThan(before + 8); // Node's own may come up meanwhile
  expect(models).toHaveLength(16); // not collected
});

describe("cancel and dispose while a call runs", () => {
  const steps = Array.from({ length: 4000 }, (_, s) =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((i) => (s * 5 + i * 3) % 24),
  );
  const rates = constantRates(steps.length, [1e-4, 1e-4, 1e-4, 1e-4, 1e-3]);

  test("cancel leaves parameters at the last completed step; going on is as never cancelled", async () => {
    const s = await native.createSession(model, [lane], cacheOff);
    const pending = native.runSteps(s, chunk(0, steps, rates));
    await sleep(60);
    native.cancel(s);
    const result = await pending;
    const done = result.completed[0]!;
    expect(result.status).toBe("cancelled");
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(steps.length);
    expect(result.diverged[0]).toBe(-1);
    expect(result.loss.findIndex(Number.isNaN)).toBe(done);

    const other = await native.createSession(model, [lane], cacheOff);
    const expected = await native.runSteps(other, chunk(0, steps.slice(0, done), rates.slice(0, done)));
    expect(bits(result.loss.slice(0, done))).toBe(bits(expected.loss));
    expect(bits(await native.saveState(s, 0))).toBe(bits(await native.saveState(other, 0)));

    for (const x of [s, other])
      await native.runSteps(x, chunk(0, steps.slice(done, done + 5), rates.slice(done, done + 5)));
    expect(bitsOf(await readAll(model, s))).toEqual(bitsOf(await readAll(model, other)));
    await native.dispose(s);
    await native.dispose(other);
  });

  test("cancel ends a call for gradients", async () => {
    const s = await native.createSession(model, [lane], cacheOff);
    const many = Int32Array.from({ length: 4800 }, (_, i) => i % 24);
    const pending = native.gradients(s, 0, 0, many);
    native.cancel(s);
    await expect(pending).rejects.toMatchObject({ code: "ERR_CANCELLED" });
    expect((await native.gradients(s, 0, 0, many.slice(0, 24))).loss).toBeGreaterThan(0);
    await native.dispose(s);
  });

  test("cancel with nothing running does not touch the next call", async () => {
    const s = await native.createSession(model, [lane], cacheOff);
    native.cancel(s);
    expect((await native.runSteps(s, goodChunk)).status).toBe("completed");
    native.cancel(s);
    expect((await native.evaluate(s, { lane: 0, dataset: 0 })).status).toBe("completed");
    await native.dispose(s);
  });

  test("cancel of one session leaves another of the same model alone", async () => {
    const [a, b] = [
      await native.createSession(model, [lane], cacheOff),
      await native.createSession(model, [lane], cacheOff),
    ];
    const running = native.runSteps(a, chunk(0, steps, rates));
    const queued = native.runSteps(b, goodChunk);
    await sleep(20);
    native.cancel(a);
    expect((await running).status).toBe("cancelled");
    expect((await queued).status).toBe("completed");
    await native.dispose(a);
    await native.dispose(b);
  });

  /** Settles, with a result or an error that has a code. */
  const outcome = (promise: Promise<{ status: string }>) =>
    promise.then(
      (r) => r.status,
      (e) => e.code as string,
    );

  test("dispose of the session during runSteps", async () => {
    const s = await native.createSession(model, [lane], cacheOff);
    const pending = outcome(native.runSteps(s, chunk(0, steps, rates)));
    await sleep(10);
    const began = performance.now();
    await native.dispose(s);
    expect(performance.now() - began).toBeLessThan(2000);
    expect(await pending).toMatch(/^(cancelled|ERR_DISPOSED)$/);
    expect((await native.evaluate(session, { lane: 0, dataset: 0 })).status).toBe("completed");
  });

  test("dispose of the model during calls of two sessions, and of calls just begun", async () => {
    const m = await native.createModel(spec, weights);
    const dataset = await native.addDataset(m, data);
    const [a, b] = [
      await native.createSession(m, [lane], cacheOff),
      await native.createSession(m, [lane], cacheOff),
    ];
    const pending = [a, b].map((s) => outcome(native.runSteps(s, chunk(dataset, steps, rates))));
    const creating = native.createSession(m, [lane], cacheOff).then(
      () => "created",
      (e) => e.code as string,
    );
    await native.dispose(m);
    for (const p of pending) expect(await p).toMatch(/^(cancelled|ERR_DISPOSED)$/);
    expect(await creating).toMatch(/^(created|ERR_DISPOSED)$/);
  });

  test("a hundred models made, used and disposed without waiting", async () => {
    const all = Array.from({ length: 100 }, async (_, i) => {
      const m = await native.createModel({ ...spec, threads: 1 + (i % 2) }, weights);
      const dataset = await native.addDataset(m, data);
      const s = await native.createSession(m, [lane], cacheOff);
      const pending = outcome(native.runSteps(s, { ...goodChunk, dataset }));
      if (i % 3 === 0) void native.dispose(s);
      const gone = native.dispose(m);
      await gone;
      return pending;
    });
    for (const status of await Promise.all(all))
      expect(status).toMatch(/^(completed|cancelled|ERR_DISPOSED)$/);
  });
});

describe("in a process of its own", { timeout: 120_000 }, () => {
  const script = path.join(repository, "tests", "addon", "lifetime.child.mjs");

  async function child(scenario: string, ...flags: string[]) {
    const run = promisify(execFile)(process.execPath, [...flags, script, scenario], { timeout: 110_000 });
    const { stdout, code } = await run.then(
      ({ stdout }) => ({ stdout, code: 0 }),
      (e) => {
        // A signal or a crash: say which, and what it wrote.
        if (typeof e.code !== "number") throw new Error(`${scenario}: ${e.signal ?? e.code}\n${e.stderr}`);
        return { stdout: e.stdout as string, code: e.code as number };
      },
    );
    const line = stdout.trim().split("\n").at(-1)!;
    return { code, result: line ? JSON.parse(line) : null };
  }

  test("two workers load the addon, one is terminated in mid-step, a third comes after", async () => {
    const { code, result } = await child("workers");
    expect(code).toBe(0);
    expect(result.same).toBe(true);
    expect(result.terminateMs).toBeLessThan(2000);
  });

  test("ten workers terminated at ten moments", async () => {
    const { code, result } = await child("terminations");
    expect([code, result]).toEqual([0, { finite: true }]);
  });

  test("process.exit in mid-step ends within two seconds, with its code", async () => {
    const { code, result } = await child("exit");
    expect(code).toBe(7);
    expect(Date.now() - result.exiting).toBeLessThan(2000);
  });

  test("an idle addon does not keep the process alive", async () => {
    expect(await child("idle")).toMatchObject({ code: 0, result: { idle: true } });
  });

  test("a call in flight does, until it settles", async () => {
    expect(await child("pending")).toMatchObject({ code: 0, result: { completed: 300 } });
  });

  test("models and sessions, disposed or dropped, give their memory back", async () => {
    const { code, result } = await child("leak", "--expose-gc");
    expect(code).toBe(0);
    // A model is 7 MB of weights, four times that in its session, and an arena: leaked, 40 rounds would be over 1 GB.
    expect(result.growth).toBeLessThan(32 * 2 ** 20);
  });

  test("models that are dropped are collected without anybody asking", async () => {
    expect(await child("dropped100")).toEqual({ code: 0, result: { collected: true } });
  });

  test("a result there is no memory for rejects its call", async () => {
    expect(await child("noMemory")).toEqual({ code: 0, result: { code: "ERR_MEMORY", finite: true } });
  });

  test("dispose of a model while its sessions are made and disposed", async () => {
    expect(await child("races")).toEqual({ code: 0, result: { alive: true } });
  });

  test("handles collected while their call runs", async () => {
    expect(await child("dropped", "--expose-gc")).toMatchObject({
      code: 0,
      result: { losses: 1, finite: true },
    });
  });
});
