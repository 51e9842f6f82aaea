// Our TPE against Optuna's on functions of known minimum: the same trials, the same seeds' worth of luck.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { NonePruner } from "../../../src/study/pruners/none.js";
import type { Sampler } from "../../../src/study/sampler.js";
import { RandomSampler } from "../../../src/study/samplers/random.js";
import { TpeSampler, type TpeSamplerOptions } from "../../../src/study/samplers/tpe.js";
import { MemoryStore } from "../../../src/study/stores/memory.js";
import { Study } from "../../../src/study/study.js";
import type { Space, TrialRecord } from "../../../src/study/types.js";
import { FUNCTIONS, type TestFunction } from "../../golden/tpe-functions.js";

const golden = JSON.parse(readFileSync(new URL("../../golden/tpe.json", import.meta.url), "utf8")) as {
  budget: number;
  /** Of Optuna's TPESampler(multivariate=True, group=True), one for each seed from 0. */
  regrets: Record<string, number[]>;
};

async function regret({ name, space, value }: TestFunction, seed: number, sampler: Sampler): Promise<number> {
  const study = await Study.create({
    store: new MemoryStore(),
    studyName: name,
    direction: "minimize",
    space,
    sampler,
    pruner: new NonePruner(),
    seed,
    nRandomTrials: 0,
    manifest: {},
    metricName: "value",
  });
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < golden.budget; i++) {
    const trial = await study.ask();
    const got = value(trial.params);
    best = Math.min(best, got);
    await trial.complete(got);
  }
  return best;
}

/** How often a run of ours ends lower than one of Optuna's: 0.5 when they are equally good (Mann-Whitney). */
async function superiority(f: TestFunction, make: () => Sampler): Promise<number> {
  const theirs = golden.regrets[f.name]!;
  const ours: number[] = [];
  for (let seed = 0; seed < theirs.length; seed++) ours.push(await regret(f, seed, make()));
  const wins = ours.flatMap((x) => theirs.map((y): number => (x < y ? 1 : x === y ? 0.5 : 0)));
  return wins.reduce((a, b) => a + b, 0) / wins.length;
}

/** Its standard deviation for equally good samplers and n runs of each. */
const deviation = (n: number) => Math.sqrt((2 * n + 1) / (12 * n * n));

// 0.595, 0.498, 0.538, 0.588 and 0.445 when this was written; the last is 0.516 over 160 seeds. Medians of 40 regrets
// move too much to be compared as such.
const found: number[] = [];
const runs = golden.regrets[FUNCTIONS[0]!.name]!.length;

test.each(FUNCTIONS)("$name: as good as Optuna's, up to the luck of the seeds", async (f) => {
  const value = await superiority(f, () => new TpeSampler());
  found.push(value);
  expect(value).toBeGreaterThan(0.5 - 2.33 * deviation(runs)); // 1 % of equally good samplers are below
});

test("as good as Optuna's over all the functions", () => {
  expect(found).toHaveLength(FUNCTIONS.length);
  const mean = found.reduce((a, b) => a + b, 0) / found.length;
  expect(mean).toBeGreaterThan(0.5 - (1.64 * deviation(runs)) / Math.sqrt(found.length)); // 5 %
});

test("random draws are told apart", async () => {
  const value = await superiority(FUNCTIONS[0]!, () => new RandomSampler());
  expect(value).toBeLessThan(0.5 - 2.33 * deviation(runs));
});

test("of equal values the cheaper trials are what proposals follow, of values within the tolerance too", async () => {
  const space: Space = [{ name: "x", distribution: { kind: "float", low: 0, high: 1 } }];
  const propose = async (options: TpeSamplerOptions = {}, value = (_x: number) => 1) => {
    const xs: number[] = [];
    for (let seed = 0; seed < 20; seed++) {
      const study = await Study.create({
        ...{ store: new MemoryStore(), studyName: "s", direction: "maximize", space, seed },
        ...{ sampler: new TpeSampler(options), pruner: new NonePruner() },
        ...{ nRandomTrials: 20, manifest: {}, metricName: "value" },
      });
      await study.queueFirst([]);
      for (let i = 0; i < 20; i++) {
        const trial = await study.ask();
        await trial.complete(value(trial.params.x as number));
      }
      xs.push((await study.ask()).params.x as number);
    }
    return xs.sort((a, b) => a - b)[10]!;
  };
  const cheapLow = { costOf: (t: TrialRecord) => t.params.x as number };
  expect(await propose(cheapLow)).toBeLessThan(0.3);
  expect(await propose({ costOf: (t) => -cheapLow.costOf(t) })).toBeGreaterThan(0.7);
  expect(Math.abs((await propose()) - 0.5)).toBeLessThan(0.3);

  // Slightly better the costlier it is, and no better below a half.
  const value = (x: number) => (x < 0.5 ? 0.5 : 0.9 + 0.01 * x);
  expect(await propose(cheapLow, value)).toBeGreaterThan(0.8);
  expect(await propose({ ...cheapLow, toleranceOf: (best) => best - 0.9 }, value)).toBeGreaterThan(0.45);
  expect(await propose({ ...cheapLow, toleranceOf: (best) => best - 0.9 }, value)).toBeLessThan(0.7);
  // Where all cost the same, the best are followed as without a tolerance.
  expect(await propose({ costOf: () => 1, toleranceOf: () => 1 }, value)).toBe(await propose({}, value));
});
