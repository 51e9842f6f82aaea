// requests.bench.mjs — predictions a second of one model in a service, and how long a request takes.
//   npm run bench -- requests         writes results/requests-<kernels>.json
// N clients each ask for one banking question of permafrost-demo (mean 14.5 tokens), and for the next when it is answered.
// MiniLM-L6 on all cores, through the public API: tokenising counts. The numbers of clients take turns.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { fineTune, loadModel } from "../dist/index.mjs";
import { median, writeResult } from "./support.mjs";

const CLIENTS = [1, 4, 16, 64];
const SECONDS = 4;
const TURNS = 5;
const demo = (file) => fileURLToPath(new URL(`../packages/demo/${file}`, import.meta.url));

const outputDir = mkdtempSync(path.join(os.tmpdir(), "permafrost-bench-"));
try {
  // Its weights do not matter, but the demo's model is no classifier yet.
  const data = { train: demo("data/banking77/train.jsonl"), validation: demo("data/banking77/dev.jsonl") };
  await fineTune({ model: demo("model"), ...data, outputDir, maxSteps: 1, evalStrategy: "no" });
  const model = await loadModel(outputDir);
  const texts = readFileSync(demo("data/banking77/test.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).text);

  /** Every client asks until the time is over; milliseconds of each request, and of them all. */
  async function run(clients, seconds) {
    const took = [];
    const begin = performance.now();
    const end = begin + 1e3 * seconds;
    let next = 0;
    const client = async () => {
      for (let now = performance.now(); now < end; now = performance.now()) {
        await model.predict([texts[next++ % texts.length]]);
        took.push(performance.now() - now);
        await setImmediate(); // a client's next request does not come in the same turn of the event loop
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
    return { took, ms: performance.now() - begin };
  }

  const samples = Object.fromEntries(CLIENTS.map((clients) => [clients, []]));
  await run(4, 1);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const clients of CLIENTS) {
      const { took, ms } = await run(clients, SECONDS);
      took.sort((a, b) => a - b);
      samples[clients].push({
        requests_per_second: (1e3 * took.length) / ms,
        median_ms: median(took),
        p99_ms: took[Math.floor(0.99 * took.length)],
      });
    }
  }
  await model[Symbol.asyncDispose]();
  const rows = CLIENTS.map((clients) => {
    const of = (key) => median(samples[clients].map((sample) => sample[key]));
    return {
      clients,
      requests_per_second: of("requests_per_second"),
      median_ms: of("median_ms"),
      p99_ms: of("p99_ms"),
      samples: samples[clients],
    };
  });
  for (const { clients, requests_per_second, median_ms, p99_ms } of rows)
    console.log(
      `${clients} clients: ${requests_per_second.toFixed(0)} requests/s, median ${median_ms.toFixed(1)} ms, 99 % within ${p99_ms.toFixed(1)} ms`,
    );
  writeResult("requests", { rows });
} finally {
  rmSync(outputDir, { recursive: true, force: true });
}
