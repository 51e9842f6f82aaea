// lanes.bench.mjs — a step of several lanes of one session, beside the same lanes one after another with all threads.
//   npm run bench -- lanes           writes results/lanes-<kernels>.json
// MiniLM-L6's shape on the banking questions of permafrost-demo, batch 16, dropout 0.1, frozen prefixes cached. A case is
// how many layers each lane has frozen. The two ways take turns.
import { readFileSync } from "node:fs";
import { laneOf, median, native, openModel, stepper, writeResult } from "./support.mjs";

const STEPS = 12;
const TURNS = 9;
const cases = [
  [0, 0],
  [0, 3],
  [0, 5],
  [4, 4],
  [0, 2, 4],
  [0, 0, 0, 0],
];

const lengths = JSON.parse(
  readFileSync(new URL("./contenders/banking-lengths.json", import.meta.url), "utf8"),
);
const opened = await openModel({ shape: "minilm-l6", dropout: 0.1 }, lengths);

async function open(frozen) {
  const lanes = frozen.map((k, i) => laneOf(opened.shape, { frozen: k, dropout: 0.1, seed: i + 1 }));
  const session = await native.createSession(opened.model, lanes, { precision: "fp32", cache: "auto" });
  const steps = stepper(opened, session, { batch: 16, lanes: lanes.length });
  await steps(Math.floor(lengths.length / 16)); // every batch once, which also fills the prefix cache
  return { session, run: () => steps(STEPS) };
}

async function milliseconds(runs) {
  const begin = performance.now();
  for (const { run } of runs) await run();
  return (performance.now() - begin) / STEPS;
}

const rows = [];
for (const frozen of cases) {
  const together = await open(frozen);
  const alone = [];
  for (const k of frozen) alone.push(await open([k]));
  const samples = { together: [], in_turn: [] };
  for (let turn = 0; turn < TURNS; turn++) {
    samples.together.push(await milliseconds([together]));
    samples.in_turn.push(await milliseconds(alone));
  }
  for (const { session } of [together, ...alone]) await native.dispose(session);
  const row = {
    frozen,
    together_ms: median(samples.together),
    in_turn_ms: median(samples.in_turn),
    // Of the same turn, so that a drift of the machine falls out.
    speedup: median(samples.in_turn.map((ms, i) => ms / samples.together[i])),
    samples,
  };
  rows.push(row);
  console.log(
    `${frozen.join("+")} layers frozen: ${row.together_ms.toFixed(0)} ms a step together, ${row.in_turn_ms.toFixed(0)} ms in turn (${row.speedup.toFixed(2)}x)`,
  );
}
await native.dispose(opened.model);
writeResult("lanes", { threads: 2, rows });
