/**
 * What lifetime.test.ts must run in a process of its own: worker threads that are terminated, exits in mid-step, leaks.
 * One scenario a run; the last line of stdout is its result as JSON. Plain JavaScript: workers load this file without a build.
 *
 *   node [--expose-gc] tests/addon/lifetime.child.mjs <scenario>
 */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

// Before the addon is loaded, as it keeps the constructor: no memory for a buffer of over a megabyte.
if (process.argv[2] === "noMemory") {
  globalThis.ArrayBuffer = class extends ArrayBuffer {
    constructor(length) {
      if (length > 1 << 20) throw new RangeError("Array buffer allocation failed");
      super(length);
    }
  };
}
const require = createRequire(import.meta.url);
const addon = require(
  process.env.PERMAFROST_ADDON ??
    fileURLToPath(new URL("../../build/Release/permafrost.node", import.meta.url)),
);

const small = { C: 32, F: 64, L: 2, V: 50, P: 32, R: 3 };
/** Some hundred milliseconds a step with the fast kernels; 7 MB of weights. */
const large = { C: 256, F: 1024, L: 2, V: 500, P: 128, R: 8 };

/** `length`: tokens of each of the eight rows. */
async function open({ C, F, L, V, P, R }, threads = 2, length = P) {
  const tensors = {};
  const put = (name, size) => {
    tensors[name] = Float32Array.from({ length: size }, (_, i) => 0.1 * Math.sin(i * 12.9898 + size));
  };
  const linear = (name, rows, cols) => {
    put(`${name}.weight`, rows * cols);
    put(`${name}.bias`, rows);
  };
  const norm = (name) => {
    tensors[`${name}.weight`] = new Float32Array(C).fill(1);
    tensors[`${name}.bias`] = new Float32Array(C);
  };
  put("embeddings.word_embeddings.weight", V * C);
  put("embeddings.position_embeddings.weight", P * C);
  put("embeddings.token_type_embeddings.weight", 2 * C);
  norm("embeddings.LayerNorm");
  for (let i = 0; i < L; i++) {
    const p = `encoder.layer.${i}`;
    for (const part of ["query", "key", "value"]) linear(`${p}.attention.self.${part}`, C, C);
    linear(`${p}.attention.output.dense`, C, C);
    norm(`${p}.attention.output.LayerNorm`);
    linear(`${p}.intermediate.dense`, F, C);
    linear(`${p}.output.dense`, C, F);
    norm(`${p}.output.LayerNorm`);
  }
  linear("pooler.dense", C, C);
  linear("classifier", R, C);
  const spec = {
    vocabSize: V,
    hiddenSize: C,
    numLayers: L,
    numHeads: Math.max(1, C / 32),
    intermediateSize: F,
    maxPositions: P,
    typeVocabSize: 2,
    layerNormEps: 1e-12,
    padTokenId: 0,
    numLabels: R,
    pooling: "cls",
    hiddenDropout: 0.1,
    attentionDropout: 0.1,
    classifierDropout: 0.1,
    threads,
    isa: "auto",
    cacheBytes: 1 << 20,
  };
  const again = () => addon.createModel(spec, tensors);
  const model = await again();
  const rows = 8;
  const dataset = await addon.addDataset(model, {
    ids: Int32Array.from({ length: rows * length }, (_, i) => 1 + ((i * 7) % (V - 1))),
    types: new Int32Array(rows * length),
    offsets: Int32Array.from({ length: rows + 1 }, (_, i) => i * length),
    labels: Int32Array.from({ length: rows }, (_, i) => i % R),
  });
  const lane = {
    trainable: Array.from({ length: L + 2 }, () => true),
    seed: 1,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    maxGradNorm: 1,
    labelSmoothing: 0,
    dropout: true,
  };
  const another = (of) => addon.createSession(of, [lane], { precision: "fp32", cache: "auto" });
  const session = await another(model);
  const steps = (count) =>
    addon.runSteps(session, {
      dataset,
      rows: [Int32Array.from({ length: count * rows }, (_, i) => i % rows)],
      offsets: [Int32Array.from({ length: count + 1 }, (_, i) => i * rows)],
      lanes: Int32Array.of(0),
      learningRates: new Float64Array(count * (L + 2)).fill(1e-4),
    });
  return { model, session, dataset, steps, again, another };
}

const last = (result) => result.loss[result.loss.length - 1];

/** A worker says "running" once its long call has begun; `done` when it ends. */
async function work() {
  const problem = await open(workerData.size === "large" ? large : small);
  await problem.steps(1);
  const call = problem.steps(workerData.steps);
  parentPort.postMessage({ kind: "running" });
  const result = await call;
  parentPort.postMessage({ kind: "done", loss: last(result), completed: result.completed[0] });
}

function start(size, steps) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { size, steps } });
  const message = (kind) =>
    new Promise((resolve, reject) => {
      worker.on("message", (m) => m.kind === kind && resolve(m));
      worker.on("error", reject);
    });
  return { worker, running: message("running"), done: message("done") };
}

const scenarios = {
  /** Two workers side by side; one is terminated in the middle of a step, the other must not notice. */
  async workers() {
    const alone = await open(small);
    await alone.steps(1);
    const expected = last(await alone.steps(2000));
    const victim = start("large", 1000);
    const other = start("small", 2000);
    await Promise.all([victim.running, other.running]);
    await sleep(50);
    const began = performance.now();
    await victim.worker.terminate();
    const terminateMs = performance.now() - began;
    const { loss } = await other.done;
    // And a third loads the addon afterwards.
    const third = start("small", 2000);
    const again = (await third.done).loss;
    return { same: loss === expected && again === expected, terminateMs };
  },

  /** Ten workers, terminated at ten different moments: while loading, creating, in a step, settling. */
  async terminations() {
    for (let i = 0; i < 10; i++) {
      const { worker } = start(i % 2 ? "large" : "small", 500);
      await sleep(20 * i);
      await worker.terminate();
    }
    const after = await open(small);
    return { finite: Number.isFinite(last(await after.steps(3))) };
  },

  /** process.exit in mid-step. */
  async exit() {
    const { steps } = await open(large);
    steps(1000).catch(() => {});
    await sleep(100);
    console.log(JSON.stringify({ exiting: Date.now() }));
    process.exit(7);
  },

  /** Nothing disposed and nothing in flight: the process ends by itself. */
  async idle() {
    const { steps } = await open(small);
    await steps(1);
    return { idle: true };
  },

  /** A call in flight keeps the process alive until it settles, though nobody awaits it. */
  async pending() {
    const { steps } = await open(small);
    steps(300).then((r) => console.log(JSON.stringify({ completed: r.completed[0] })));
  },

  /** Models and sessions, disposed or merely dropped: memory comes back. In bytes of resident memory. */
  async leak() {
    const settle = async () => {
      for (let i = 0; i < 3; i++) {
        globalThis.gc();
        await sleep(5);
      }
    };
    const round = async (how) => {
      const { model, session, steps } = await open(large, 1, 2);
      await steps(1);
      if (how % 4 === 0) await addon.dispose(model);
      if (how % 4 === 1) await addon.dispose(session);
      if (how % 4 === 2) {
        await addon.dispose(session);
        await addon.dispose(model);
        await addon.dispose(model);
      }
    };
    // The least of eight rounds, early and late: resident memory jitters by more than a model from one round to the next.
    const least = async (rounds) => {
      let rss = Number.POSITIVE_INFINITY;
      for (let i = 0; i < rounds; i++) {
        await round(i);
        await settle();
        if (rounds - i <= 8) rss = Math.min(rss, process.memoryUsage().rss);
      }
      return rss;
    };
    const before = await least(40);
    return { growth: (await least(40)) - before };
  },

  /** Models that are dropped, in a process that never asks for a collection: 7 MB each, and V8 sees a few bytes. When it
   *  collects is its own to say (after 60 MB or after 200): whether, within 700 MB, several models went at once. */
  async dropped100() {
    const { again } = await open(large, 1, 2);
    let before = process.memoryUsage().rss;
    for (let i = 0; i < 100; i++) {
      await again();
      const now = process.memoryUsage().rss;
      if (before - now > 15e6) return { collected: true };
      before = now;
    }
    return { collected: false };
  },

  /** No memory for the buffer of a result: the call is rejected, and the session goes on. */
  async noMemory() {
    const { session, steps } = await open(large, 1, 2);
    await steps(1);
    const { code } = await addon.saveState(session, 0).catch((error) => error);
    return { code, finite: Number.isFinite(last(await steps(1))) };
  },

  /** A model disposed while sessions are being made, and while they are being disposed: the end of one call on the
   *  executor thread meets the beginning of the next on ours. Spinning workers get the threads preempted at odd moments.
   *  A race in the model's list of sessions crashed this within five seconds, five times of five; without them every other time. */
  async races() {
    const { again, another } = await open({ C: 8, F: 8, L: 1, V: 4, P: 4, R: 2 }, 1);
    const spinning = Math.max(1, availableParallelism() - 1);
    for (let i = 0; i < spinning; i++) new Worker("for (;;);", { eval: true }).unref();
    const until = performance.now() + 6000;
    for (let n = 0; performance.now() < until; n++) {
      const model = await again();
      const making = Array.from({ length: 40 }, () => another(model).catch(() => null));
      await making[n % 3];
      if (n % 4 === 3) for (const session of await Promise.all(making)) addon.dispose(session);
      await Promise.all([addon.dispose(model), ...making]);
    }
    console.log(JSON.stringify({ alive: true }));
    process.exit(0); // workers and all
  },

  /** Handles dropped with a call in flight, collected while it runs. */
  async dropped() {
    const losses = [];
    for (let i = 0; i < 6; i++) {
      let problem = await open(large, 2, 16);
      const call = problem.steps(4);
      problem = null;
      globalThis.gc();
      losses.push(last(await call));
      globalThis.gc();
      await sleep(5);
    }
    return { losses: new Set(losses).size, finite: losses.every(Number.isFinite) };
  },
};

if (isMainThread) {
  const result = await scenarios[process.argv[2]]();
  if (result) console.log(JSON.stringify(result));
} else {
  await work();
}
