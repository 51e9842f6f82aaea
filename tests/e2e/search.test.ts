/** Searches from outside: long enough for every arm, out of time, stopped, killed, on a full disk, gone on with. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SearchOptions } from "../../src/config/schema.js";
import type { SearchEvent } from "../../src/events.js";
import type { SearchFindings } from "../../src/report/index.js";
import { SqliteStore } from "../../src/study/stores/sqlite.js";
import { armOf } from "../../src/study/study.js";
import { turnsOf } from "../../src/study/turns.js";
import type { TrialRecord } from "../../src/study/types.js";
import type { CacheUse } from "../../src/train/totals.js";
import { timeless, timelessComparison } from "./timeless.js";
import { writeProblem } from "./tiny.js";

const main = path.join(import.meta.dirname, "../../dist/cli/main.mjs");
const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-search-"));
const at = (name: string) => path.join(folder, name);

/** Flags of a small search; later ones win. */
const flags = (out: string, ...more: string[]) => [
  ...["search", "--model", at("model"), "--train", at("train.jsonl"), "--validation", at("dev.jsonl")],
  ...["--test", at("test.jsonl"), "--output_dir", at(out), "--quiet", "--lanes", "2", "--threads", "2"],
  ...["--n-trials", "8", "--num_train_epochs", "3", "--n-seeds", "2", ...more],
];

function permafrost(args: readonly string[]) {
  const run = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

/** A search as a child whose events are seen as they happen; `onEvent` may stop it with a signal. */
async function watched(
  args: readonly string[],
  onEvent: (event: SearchEvent, child: ChildProcess) => NodeJS.Signals | undefined,
  node: { readonly flags?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
) {
  const child = spawn(process.execPath, [...(node.flags ?? []), main, ...args, "--progress", "json"], {
    ...{ stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...node.env } },
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const events: SearchEvent[] = [];
  let stopped = false; // a second SIGINT would not wait
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("{")) continue;
    const event = JSON.parse(line) as SearchEvent;
    events.push(event);
    const signal = stopped ? undefined : onEvent(event, child);
    if (signal) stopped = child.kill(signal);
  }
  return { status: await exit, stderr, events };
}

/** A search in a worker thread. `seen`: its first event, or the first of type `stopAt`, where the thread then stands still. */
function inThread(options: SearchOptions, stopAt?: SearchEvent["type"]) {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.entry).then(async ({ search }) => {
      const run = search(workerData.options);
      for await (const event of run) {
        parentPort.postMessage(event);
        if (event.type === workerData.stopAt) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      }
    });`;
  const entry = pathToFileURL(path.join(import.meta.dirname, "../../dist/index.mjs")).href;
  const worker = new Worker(code, { eval: true, workerData: { entry, options, stopAt } });
  const events: SearchEvent[] = [];
  const seen = new Promise<void>((resolve) =>
    worker.on("message", (event: SearchEvent) => {
      events.push(event);
      if (stopAt === undefined || event.type === stopAt) resolve();
    }),
  );
  const done = new Promise<SearchEvent[]>((resolve, reject) =>
    worker.once("error", reject).once("exit", () => resolve(events)),
  );
  return { worker, seen, done };
}

const starts = (events: readonly SearchEvent[], phase: "search" | "baseline") =>
  events.flatMap((e) => (e.type === "trialStart" && e.phase === phase ? [e.number] : []));

/** Seeds that were announced as stored. */
const ended = (events: readonly SearchEvent[]) =>
  events.flatMap((e) => (e.type === "seedEnd" ? [`${e.arm} ${e.seed}`] : []));

/** What is stored of the retrained seeds, seconds included. */
async function seedsOf(file: string) {
  await using store = await SqliteStore.open(`sqlite:///${at(file)}`);
  const { userAttrs } = (await store.findStudy("permafrost"))!;
  return Object.entries(userAttrs).filter(([key]) => key.startsWith("permafrost:seed:"));
}

/** The trials of both studies of a file. */
async function trialsOf(file: string): Promise<{ search: TrialRecord[]; baseline: TrialRecord[] }> {
  await using store = await SqliteStore.open(`sqlite:///${at(file)}`);
  const read = async (name: string) => {
    const study = await store.findStudy(name);
    return study ? [...(await store.trials(study.studyId))] : [];
  };
  return { search: await read("permafrost"), baseline: await read("permafrost-uniform") };
}

const isFinished = (t: TrialRecord) =>
  ["COMPLETE", "PRUNED"].includes(t.state) ||
  (t.state === "FAIL" && !t.systemAttrs["permafrost:interrupted"]);
const finished = (trials: readonly TrialRecord[]) => trials.filter(isFinished);
/** What must never change of a trial that ended. */
const result = ({ number, state, value, params, intermediateValues, datetimeComplete }: TrialRecord) => ({
  ...{ number, state, value, params, datetimeComplete, intermediateValues: [...intermediateValues] },
});
const report = (out: string) => JSON.parse(readFileSync(at(`${out}/report.json`), "utf8")) as SearchFindings;
const model = (out: string) => readFileSync(at(`${out}/model/model.safetensors`));

/** Every turn of the plan has ended once, and what had ended before is as it was. */
function expectWhole(trials: readonly TrialRecord[], before: readonly TrialRecord[], planned: number) {
  const turns = turnsOf(trials);
  const ended = finished(trials).map((t) => turns.get(t.number)!);
  expect(ended.toSorted((a, b) => a - b)).toEqual(Array.from({ length: planned }, (_, i) => i));
  expect(trials.some((t) => t.state === "RUNNING")).toBe(false);
  expect(trials.map((t) => t.number)).toEqual(trials.map((_, i) => i));
  const kept = finished(before).map(({ number }) => trials.find((t) => t.number === number)!);
  expect(kept.map(result)).toEqual(finished(before).map(result));
}

beforeAll(() => writeProblem(at));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("30 trials: every arm runs, TPE proposes from results, the median pruner prunes, the report counts them", async () => {
  // Rates high enough that this model learns, and 36 steps with 12 evaluations.
  const hot = [
    ...["--learning_rate_range", "[1e-3,1e-1]", "--head_learning_rate_range", "[1e-3,1e-1]"],
    ...["--n-trials", "30", "--num_train_epochs", "12", "--eval_strategy", "steps", "--eval_steps", "3"],
  ];
  const run = permafrost(flags("long", ...hot, "--json"));
  expect([run.stderr, run.status]).toEqual(["", 0]);
  const { search, baseline } = await trialsOf("long/study.db");
  const count = (arm: string) => search.filter((t) => armOf(t) === arm).length;
  // Four starts: of this model's two layers, the upper half is the last one.
  expect([count("warm-start"), count("random"), count("optimized")]).toEqual([4, 12, 14]);
  const pruned = search.filter((t) => t.state === "PRUNED");
  expect(pruned.length).toBeGreaterThan(0);
  for (const trial of pruned) {
    expect(armOf(trial)).toBe("optimized");
    expect(trial.intermediateValues.size).toBeLessThan(12);
  }
  // All evaluations but the last, which is the value, are reported.
  for (const trial of search.filter((t) => t.state === "COMPLETE"))
    expect([...trial.intermediateValues.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(finished(baseline)).toHaveLength(30);
  // Proposals from results and uniform draws differ in where they look: the same search, sampler random.
  expect(permafrost(flags("blind", ...hot, "--sampler", "random", "--baseline", "false")).status).toBe(0);
  const blind = (await trialsOf("blind/study.db")).search;
  const params = (trials: readonly TrialRecord[]) => trials.map((t) => t.params);
  expect(params(blind).slice(0, 16)).toEqual(params(search).slice(0, 16));
  expect(params(blind).slice(16)).not.toEqual(params(search).slice(16));
  const [comparison] = report("long").comparisons;
  expect([comparison!.winner.trials, comparison!.baseline.trials]).toEqual([30, 30]);
  // Embeddings, and with one and with two layers: each of a row once, whatever the number of trials.
  const { cache } = JSON.parse(run.stdout) as { cache: CacheUse };
  const rows = readFileSync(at("train.jsonl"), "utf8").trim().split("\n").length;
  expect(cache.misses).toBeGreaterThan(0);
  expect(cache.misses).toBeLessThanOrEqual(3 * rows);
  expect(cache.hits).toBeGreaterThan(10 * cache.misses);
}, 120_000);

describe("a time limit", () => {
  test("is shared: both arms get their half, and the report says what they spent", async () => {
    const run = permafrost(flags("timed", "--n-trials", "500", "--timeout", "4", "--json"));
    expect([run.stderr, run.status]).toEqual(["", 0]);
    const { search, baseline } = await trialsOf("timed/study.db");
    const { comparisons, notices } = report("timed");
    const spent = [comparisons[0]!.winner.trials, comparisons[0]!.baseline.trials];
    expect(spent).toEqual([finished(search).length, finished(baseline).length]);
    for (const trials of spent) expect(trials > 0 && trials < 500).toBe(true);
    expect(notices.map((n) => n.text).filter((text) => text.startsWith("Only"))).toEqual([
      expect.stringContaining(`Only ${spent[0]} of the 500 trials of the search`),
      expect.stringContaining(`Only ${spent[1]} of the 500 trials of the baseline`),
    ]);
    // Test has seen this choice: going on as if it had not would choose again.
    const again = permafrost(flags("timed", "--n-trials", "500", "--resume"));
    expect([again.stderr, again.status]).toEqual(["", 0]);
    expect((await trialsOf("timed/study.db")).search).toEqual(search);
    expect(report("timed").study.testReadAt).toHaveLength(1);
  });

  test("that the search uses up leaves no baseline, and a report of the winner alone that says so", () => {
    const slow = [
      "--num_train_epochs",
      "1",
      "--max_steps",
      "8000",
      "--eval_strategy",
      "no",
      "--n-seeds",
      "1",
    ];
    const run = permafrost(flags("late", "--timeout", "1", ...slow));
    expect([run.stderr, run.status]).toEqual(["", 0]);
    const { comparisons, winner, notices } = report("late");
    expect(comparisons).toEqual([]);
    expect(winner).toMatchObject({ name: "per-layer", trials: 2, test: { n: 1 } });
    expect(notices.map((n) => n.text)).toContain("There is no baseline: none of its trials completed.");
  }, 120_000);
});

test("more trials and seeds are a plain resume as long as test is unread; the randomised arm stays as it was drawn", async () => {
  const { status } = await watched(flags("grows"), (event) =>
    event.type === "trialEnd" ? "SIGKILL" : undefined,
  );
  expect(status).not.toBe(0);
  const fewer = permafrost(flags("grows", "--n-trials", "7", "--resume"));
  expect([fewer.status, fewer.stderr]).toEqual([
    4,
    expect.stringMatching(/n_trials.*expected 8, received 7/),
  ]);
  const loud = flags("grows", "--n-trials", "12", "--n-seeds", "3", "--resume").filter(
    (flag) => flag !== "--quiet",
  );
  const more = permafrost(loud);
  expect([more.status, more.stderr]).toEqual([
    0,
    expect.stringMatching(/n_trials was 8, is 12 from now on\n.*n_seeds was 2, is 3 from now on/),
  ]);
  for (const trials of Object.values(await trialsOf("grows/study.db"))) {
    expect(finished(trials)).toHaveLength(12);
    expect(trials.filter((t) => t.userAttrs.arm === "random" && t.state !== "FAIL")).toHaveLength(4);
  }
  const { comparisons, notices } = report("grows");
  expect(comparisons[0]!.winner).toMatchObject({ trials: 12, test: { n: 3 } });
  expect(notices.filter((n) => n.tone === "warning")).toEqual([]);
  const late = permafrost(flags("grows", "--n-trials", "14", "--n-seeds", "3", "--resume"));
  expect([late.status, late.stderr]).toEqual([
    4,
    expect.stringMatching(
      /^ERR_STORE_TEST_READ: .* read at 20.*\n.*n_trials +expected 12, received 14;.*--force/,
    ),
  ]);
});

test("rows of test that chose the configuration are a warning, on the terminal and first in the report", () => {
  const run = permafrost(
    flags("leak", "--test", at("dev.jsonl"), "--n-seeds", "1", "--no-baseline").filter(
      (f) => f !== "--quiet",
    ),
  );
  const leak =
    /^\d+ of \d+ rows of .*dev\.jsonl.* are also in .*dev\.jsonl, first .*: a choice made on them looks better/m;
  expect(run.status).toBe(0);
  expect(run.stderr).toMatch(leak);
  expect(run.stdout).toMatch(/Read this first\nWarning\. \d+ of \d+ rows of/);
  expect(report("leak").notices.filter((n) => n.tone === "warning" && leak.test(n.text))).toHaveLength(1);
});

test.skipIf(process.platform === "win32")(
  "a process that runs the search meanwhile goes on to the larger number",
  async () => {
    const args = (out: string, trials: number) => [
      ...flags(out, "--storage", `sqlite:///${at("raised.db")}`, "--resume", "--n-trials", String(trials)),
      ...["--n-random-trials", "2", "--pruner", "none", "--lanes", "1"],
    ];
    let second: ReturnType<typeof watched> | undefined;
    const first = await watched(args("raised-one", 4), (event, child) => {
      if (event.type !== "trialStart" || second) return undefined;
      child.kill("SIGSTOP"); // until the other is there
      second = watched(args("raised-two", 10), ({ type }) => {
        if (type === "trialStart") child.kill("SIGCONT");
        return undefined;
      });
      return undefined;
    });
    expect([first.status, first.stderr]).toEqual([0, ""]);
    expect(await second).toMatchObject({ status: 0, stderr: "" });
    for (const trials of Object.values(await trialsOf("raised.db")))
      expect(finished(trials)).toHaveLength(10);
    for (const out of ["raised-one", "raised-two"]) {
      const [comparison] = report(out).comparisons;
      expect([comparison!.winner.trials, comparison!.baseline.trials]).toEqual([10, 10]);
      expect(report(out).notices.filter((n) => n.tone === "warning")).toEqual([]);
    }
    expect(model("raised-two").equals(model("raised-one"))).toBe(true);
  },
  120_000,
);

test("without a baseline the winner's accuracy, seeds and cost are told", () => {
  const run = permafrost(flags("alone", "--baseline", "false"));
  expect([run.stderr, run.status]).toEqual(["", 0]);
  const { winner } = report("alone");
  expect(winner).toMatchObject({ name: "per-layer", trials: 8, test: { n: 2 } });
  const percent = (x: number) => (x * 100).toFixed(1);
  for (const text of [run.stdout, readFileSync(at("alone/report.md"), "utf8")]) {
    expect(text).toContain("Nothing here says whether");
    expect(text).toContain(`${percent(winner!.test.mean)} ± ${percent(winner!.test.sd!)}`);
    expect(text).toContain("Trained parameters");
  }
  expect(existsSync(at("alone/model/model.safetensors"))).toBe(true);
});

describe("what was scored on test", () => {
  beforeAll(() => {
    expect(permafrost(flags("once")).status).toBe(0);
  });

  test("is not scored for more seeds without --force; with it, that is a second look", async () => {
    const before = await trialsOf("once/study.db");
    const more = flags("once", "--n-seeds", "3", "--resume");
    const refused = permafrost(more);
    expect([refused.status, refused.stderr]).toEqual([
      4,
      expect.stringMatching(/n_seeds.*expected 2, received 3/),
    ]);
    expect(report("once").study.testReadAt).toHaveLength(1);
    const forced = permafrost([...more, "--force"]);
    expect([forced.stderr, forced.status]).toEqual(["", 0]);
    const { study, comparisons } = report("once");
    expect([study.testReadAt.length, comparisons[0]!.seeds.length]).toEqual([2, 3]);
    expect((await trialsOf("once/study.db")).search).toEqual(before.search);
    expect(forced.stdout).toContain("Test set read more than once");
    const warnings = report("once").notices.map(({ text }) => text);
    expect(warnings).toContainEqual(expect.stringMatching(/--force on .* n_seeds had changed/));
  });

  test("goes on with the seeds it was scored for, where another process had asked for more meanwhile", async () => {
    const before = report("once");
    const store = await SqliteStore.open(`sqlite:///${at("once/study.db")}`);
    for (const name of await store.studyNames()) {
      const { studyId, userAttrs } = (await store.findStudy(name))!;
      const manifest = userAttrs["permafrost:manifest"] as object;
      await store.setStudyAttrs(studyId, { user: { "permafrost:manifest": { ...manifest, n_seeds: 9 } } });
    }
    await store.close();
    const run = permafrost(flags("once", "--n-seeds", "9", "--resume"));
    expect([run.stderr, run.status]).toEqual(["", 0]);
    const { study, comparisons, notices } = report("once");
    expect([study.testReadAt, comparisons]).toEqual([before.study.testReadAt, before.comparisons]);
    expect(notices.map(({ text }) => text)).toContainEqual(expect.stringMatching(/with 3 seeds, not 9/));
  });

  test("is not gone on with when config.json has changed, whose dropout no tensor shows", () => {
    cpSync(at("model"), at("undropped"), { recursive: true });
    const file = at("undropped/config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...config, hidden_dropout_prob: 0 }));
    const run = permafrost(flags("once", "--model", at("undropped"), "--n-seeds", "9", "--resume"));
    expect([run.status, run.stderr]).toEqual([
      4,
      expect.stringMatching(/hidden_dropout_prob +expected 0.1, received 0/),
    ]);
  });

  test("is scored anew, and the model written anew, when options of training change with --force", () => {
    const before = model("once");
    const refused = permafrost(flags("once", "--adam_beta1", "0.5", "--resume"));
    expect([refused.status, refused.stderr]).toEqual([4, expect.stringContaining("adam_beta1")]);
    expect(permafrost(flags("once", "--adam_beta1", "0.5", "--resume", "--force")).status).toBe(0);
    expect(model("once").equals(before)).toBe(false);
    expect(report("once").study.testReadAt.length).toBeGreaterThan(1);
  });
});

test("a study elsewhere, gone on with in a new folder, writes the same model there without reading test again", () => {
  const storage = ["--storage", `sqlite:///${at("shared.db")}`];
  expect(permafrost(flags("here", ...storage)).status).toBe(0);
  const run = permafrost(flags("there", ...storage, "--resume"));
  expect([run.stderr, run.status]).toEqual(["", 0]);
  expect(model("there").equals(model("here"))).toBe(true);
  expect(report("there").study.testReadAt).toEqual(report("here").study.testReadAt);
  expect(report("there").comparisons).toEqual(report("here").comparisons);
  // A model folder that lost what the weights are read with is no model.
  rmSync(at("there/model/tokenizer.json"));
  expect(permafrost(flags("there", ...storage, "--resume")).status).toBe(0);
  expect(existsSync(at("there/model/tokenizer.json"))).toBe(true);
  expect(model("there").equals(model("here"))).toBe(true);
});

test("a name that the baseline will need is refused before anything runs or is created", async () => {
  const storage = ["--storage", `sqlite:///${at("names.db")}`];
  const taken = [
    "--study-name",
    "permafrost-uniform",
    "--baseline",
    "false",
    "--n-trials",
    "1",
    "--n-seeds",
    "1",
  ];
  expect(permafrost(flags("n1", ...storage, ...taken)).status).toBe(0);
  const run = permafrost(flags("n2", ...storage));
  expect([run.status, run.stderr]).toEqual([4, expect.stringContaining('"permafrost-uniform"')]);
  expect((await trialsOf("names.db")).search).toEqual([]);
});

describe("going on", () => {
  // Trials long enough to be met while they run, two of the search's and four of the baseline's proposed from results, and
  // more seeds than lanes: they are retrained as a pair and one.
  const slow = [
    "--num_train_epochs",
    "30",
    "--eval_strategy",
    "no",
    "--n-random-trials",
    "2",
    "--n-seeds",
    "3",
  ];
  let whole: Awaited<ReturnType<typeof trialsOf>>;
  beforeAll(async () => {
    expect(permafrost(flags("whole", ...slow)).status).toBe(0);
    whole = await trialsOf("whole/study.db");
    expect(whole.search.filter((t) => armOf(t) === "optimized")).toHaveLength(2);
    expect(new Set(whole.search.map((t) => t.userAttrs.validation_loss)).size).toBe(8);
  }, 60_000);
  /** Accuracy on 30 rows is often the same by chance; a loss is not. */
  const values = (trials: readonly TrialRecord[]) => {
    const turns = turnsOf(trials);
    return new Map(
      finished(trials).map((t) => [turns.get(t.number), [t.params, t.value, timeless(t.userAttrs)]]),
    );
  };

  /** The trials, the comparison and the written model are those of the search that never stopped. */
  async function expectAsWhole(out: string, before: Awaited<ReturnType<typeof trialsOf>>) {
    const after = await trialsOf(`${out}/study.db`);
    for (const arm of ["search", "baseline"] as const) {
      expectWhole(after[arm], before[arm], 8);
      expect(values(after[arm])).toEqual(values(whole[arm]));
    }
    expect(report(out).comparisons.map(timelessComparison)).toEqual(
      report("whole").comparisons.map(timelessComparison),
    );
    expect(report(out).comparisons).toHaveLength(1);
    expect(report(out).study.testReadAt).toHaveLength(1);
    expect(model(out).equals(model("whole"))).toBe(true);
    return after;
  }

  test("after kill -9 in the middle of trials: what had ended is as it was, nothing runs twice", async () => {
    const args = flags("killed", ...slow);
    let interrupted = 0;
    for (const [phase, after] of [
      ["search", 1],
      ["search", 5],
      ["baseline", 3],
    ] as const) {
      const before = existsSync(at("killed/study.db")) ? await trialsOf("killed/study.db") : null;
      const { status, events } = await watched(before ? [...args, "--resume"] : args, (event) =>
        event.type === "trialStart" && event.phase === phase && event.number >= after ? "SIGKILL" : undefined,
      );
      expect(status).toBeNull(); // by the signal
      const now = await trialsOf("killed/study.db");
      const running = now[phase].filter((t) => t.state === "RUNNING");
      expect(running.length).toBeGreaterThan(0);
      interrupted += running.length;
      for (const arm of ["search", "baseline"] as const) {
        const ended = finished(before?.[arm] ?? []);
        expect(now[arm].filter((t) => ended.some((e) => e.number === t.number)).map(result)).toEqual(
          ended.map(result),
        );
        expect(starts(events, arm).filter((n) => ended.some((e) => e.number === n))).toEqual([]);
      }
    }
    const before = await trialsOf("killed/study.db");
    const end = permafrost([...args, "--resume"]);
    expect([end.status, end.stderr]).toEqual([0, ""]);
    const after = await expectAsWhole("killed", before);
    const lost = [...after.search, ...after.baseline].filter((t) => t.systemAttrs["permafrost:interrupted"]);
    expect(lost).toHaveLength(interrupted);
  }, 120_000);

  test("after kill -9 at a retrained seed and before the report: a stored seed is neither trained nor scored again", async () => {
    const args = flags("late-kill", ...slow);
    const runs: SearchEvent[][] = [];
    let stored: Awaited<ReturnType<typeof seedsOf>> = [];
    for (const [killAt, seeds] of [
      ['"type":"seedEnd","arm":"per-layer"', 1],
      ['"type":"seedEnd","arm":"uniform"', 4],
      ['"phase":"analyse"', 6],
    ] as const) {
      const { status, events } = await watched(
        runs.length > 0 ? [...args, "--resume"] : args,
        () => undefined,
        {
          flags: ["--require", path.join(import.meta.dirname, "signal-at.cjs")],
          env: { PERMAFROST_TEST_SIGNAL_AT: killAt, PERMAFROST_TEST_SIGNALS: "SIGKILL" },
        },
      );
      expect(status).toBeNull(); // by the signal
      runs.push(events);
      const now = await seedsOf("late-kill/study.db");
      expect(now).toHaveLength(seeds);
      for (const seed of stored) expect(now).toContainEqual(seed);
      stored = now;
    }
    const arms = ["per-layer", "uniform"].flatMap((arm) => [43, 44, 45].map((seed) => `${arm} ${seed}`));
    expect(runs.flatMap(ended)).toEqual(arms);
    for (const events of runs.slice(1)) expect(starts(events, "search")).toEqual([]);
    expect(existsSync(at("late-kill/report.json"))).toBe(false);

    const before = await trialsOf("late-kill/study.db");
    const end = permafrost([...args, "--resume"]);
    expect([end.status, end.stderr]).toEqual([0, ""]);
    expect(await seedsOf("late-kill/study.db")).toEqual(stored);
    await expectAsWhole("late-kill", before);
  }, 120_000);

  test("after a kill before there was a study: it begins, and says so; another name in the file is still missing", async () => {
    const args = flags("empty", "--n-trials", "1", "--n-seeds", "1", "--resume");
    mkdirSync(at("empty"));
    await (await SqliteStore.open(`sqlite:///${at("empty/study.db")}`)).close();
    const run = permafrost(args.filter((flag) => flag !== "--quiet"));
    expect([run.status, run.stderr]).toEqual([0, expect.stringContaining("nothing to resume")]);
    const other = permafrost([...args, "--study-name", "other"]);
    expect([other.status, other.stderr]).toEqual([4, expect.stringContaining("ERR_STORE_STUDY_MISSING")]);
  });

  test("after SIGINT, however often: what ran waits, and the end is that of a search never stopped", async () => {
    const args = flags("stopped", ...slow);
    for (let i = 0; i < 7; i++) {
      const { status } = await watched(i > 0 ? [...args, "--resume"] : args, (event) =>
        event.type === "trialStart" ? "SIGINT" : undefined,
      );
      expect(status).toBe(130);
      const states = new Set((await trialsOf("stopped/study.db")).search.map((t) => t.state));
      expect(states).toEqual(new Set(["FAIL", "WAITING"]));
    }
    const end = permafrost([...args, "--resume"]);
    expect([end.status, end.stderr]).toEqual([0, ""]);
    await expectAsWhole("stopped", { search: [], baseline: [] });
  }, 120_000);

  test("two processes at once: no trial more than one would run, each by one of them, and both end with the same model", async () => {
    // Long enough that both have work, with proposals in it, also where cores are fast.
    const long = ["--num_train_epochs", "400", "--eval_strategy", "no", "--n-trials", "12"];
    const storage = ["--n-random-trials", "2", "--storage", `sqlite:///${at("pair.db")}`];
    const both = ["one", "two"].map((out) =>
      watched(flags(out, ...long, ...storage, "--resume"), () => undefined),
    );
    const runs = await Promise.all(both);
    expect(runs.map(({ status, stderr }) => [status, stderr])).toEqual([
      [0, ""],
      [0, ""],
    ]);
    const trials = await trialsOf("pair.db");
    for (const phase of ["search", "baseline"] as const) {
      expectWhole(trials[phase], [], 12);
      const started = runs.flatMap(({ events }) => starts(events, phase));
      expect(started.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    }
    for (const { events } of runs) expect(starts(events, "search").length).toBeGreaterThan(0);
    for (const { events } of runs) expect(starts(events, "baseline").length).toBeGreaterThan(0);
    expect(model("two").equals(model("one"))).toBe(true);
  }, 120_000);

  test("two worker threads at once: as two processes; and what a terminated one ran is run again", async () => {
    const options = (out: string) => ({
      ...{
        model: at("model"),
        train: at("train.jsonl"),
        validation: at("dev.jsonl"),
        test: at("test.jsonl"),
      },
      ...{ outputDir: at(out), storage: `sqlite:///${at("threads.db")}`, resume: true, threads: 1, lanes: 1 },
      ...{ nTrials: 8, nRandomTrials: 2, nSeeds: 1, baseline: false, numTrainEpochs: 150 },
      ...{ evalStrategy: "no" as const },
    });
    const killed = inThread(options("killed-thread"), "trialStart");
    await killed.seen; // its trial runs from here to the end of the thread
    const both = ["thread-one", "thread-two"].map((out) => inThread(options(out)));
    await both[0]!.seen;
    await killed.worker.terminate();
    const runs = await Promise.all(both.map(({ done }) => done));
    const { search } = await trialsOf("threads.db");
    expect(finished(search)).toHaveLength(8);
    const again = search.filter((t) => t.state === "FAIL");
    expect(again.map((t) => t.systemAttrs["permafrost:interrupted"])).toEqual([true]);
    const begun = runs.flatMap((events) => starts(events, "search"));
    expect(new Set(begun).size).toBe(begun.length);
    for (const events of runs) expect(starts(events, "search").length).toBeGreaterThan(0);
    expect(model("thread-two").equals(model("thread-one"))).toBe(true);
  }, 120_000);

  test("after a full disk: exit code 4, what was acknowledged is kept, and with room again it ends", async () => {
    const args = flags("full", "--n-trials", "30");
    const child = { flags: ["--require", path.join(import.meta.dirname, "full-disk.cjs")] };
    const { status, stderr, events } = await watched(args, () => undefined, {
      ...{ ...child, env: { PERMAFROST_TEST_PAGES: "32" } },
    });
    expect([status, stderr]).toEqual([4, expect.stringContaining("ERR_STORE_FULL")]);
    const acknowledged = events.flatMap((e) => (e.type === "trialEnd" ? [[e.number, e.state, e.value]] : []));
    expect(acknowledged.length).toBeGreaterThan(0);
    const before = await trialsOf("full/study.db");
    const kept = finished(before.search).map((t) => [t.number, t.state, t.value]);
    for (const trial of acknowledged) expect(kept).toContainEqual(trial);
    const end = permafrost([...args, "--resume"]);
    expect([end.status, end.stderr]).toEqual([0, ""]);
    expectWhole((await trialsOf("full/study.db")).search, before.search, 30);
  });
});
