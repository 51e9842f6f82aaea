// workers.bench.mjs — training steps a second of two sessions in worker threads, beside one session that uses all threads.
//   npm run bench -- workers          writes results/workers-<kernels>.json
// MiniLM-L6's shape on the banking questions of permafrost-demo, batch 16. A service that trains in worker threads should
// lose nothing by it: `2 x 1` are two workers with a thread each, `2 x 2` two workers with two threads each, more than there
// are cores. The three take turns.
import { readFileSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { laneOf, median, native, openModel, stepper, writeResult } from "./support.mjs";

const SECONDS = 4;
const TURNS = 7;

/** A model of its own; run(seconds) → steps done. */
async function openRunner(threads) {
  const lengths = JSON.parse(
    readFileSync(new URL("./contenders/banking-lengths.json", import.meta.url), "utf8"),
  );
  const opened = await openModel({ shape: "minilm-l6", threads }, lengths);
  const session = await native.createSession(opened.model, [laneOf(opened.shape)], {
    precision: "fp32",
    cache: "auto",
  });
  const steps = stepper(opened, session, { batch: 16 });
  await steps(12);
  return async (seconds) => {
    const begin = performance.now();
    let done = 0;
    for (; performance.now() - begin < seconds * 1e3; done += 2) await steps(2);
    return (done / (performance.now() - begin)) * 1e3;
  };
}

async function asWorker() {
  const run = await openRunner(workerData.threads);
  parentPort.on("message", async (seconds) => parentPort.postMessage(await run(seconds)));
  parentPort.postMessage("ready");
}

const answer = (worker) =>
  new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));

async function asMain() {
  const pair = async (threads) => {
    const workers = [1, 2].map(() => new Worker(new URL(import.meta.url), { workerData: { threads } }));
    await Promise.all(workers.map(answer));
    return {
      workers,
      run: async () => {
        const answers = workers.map(answer);
        for (const worker of workers) worker.postMessage(SECONDS);
        return (await Promise.all(answers)).reduce((a, b) => a + b, 0);
      },
    };
  };
  const alone = await openRunner(2);
  const [one, two] = [await pair(1), await pair(2)];
  const ways = { "1 x 2": () => alone(SECONDS), "2 x 1": one.run, "2 x 2": two.run };
  const samples = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let turn = 0; turn < TURNS; turn++)
    for (const [name, run] of Object.entries(ways)) samples[name].push(await run());
  await Promise.all([...one.workers, ...two.workers].map((worker) => worker.terminate()));
  const rows = Object.entries(samples).map(([way, list]) => ({
    way,
    steps_per_second: median(list),
    // Of the same turn, so that a drift of the machine falls out.
    of_one_session: median(list.map((value, i) => value / samples["1 x 2"][i])),
    samples: list,
  }));
  for (const { way, steps_per_second, of_one_session } of rows)
    console.log(
      `${way} threads: ${steps_per_second.toFixed(2)} steps/s, ${(100 * of_one_session).toFixed(1)} % of one session with all threads`,
    );
  writeResult("workers", { rows });
}

await (isMainThread ? asMain() : asWorker());
