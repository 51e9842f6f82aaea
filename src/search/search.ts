/**
 * The whole search: trials, a uniform-rate baseline with as many, both retrained on the same seeds and scored once on
 * test, layers analysed, a report and a model folder written. Every step is stored as it ends, and a resumed search does
 * only what is missing.
 */
import path from "node:path";
import type { ArmResult } from "../analysis/types.js";
import type { SearchConfig } from "../config/schema.js";
import type { SearchEvent } from "../events.js";
import type { ReportNotice, SearchFindings } from "../report/index.js";
import { SqliteStore } from "../study/stores/sqlite.js";
import type { Study } from "../study/study.js";
import { claimOutputDir } from "../train/claim.js";
import type { LayerRates } from "../train/layer-rates.js";
import { majority } from "../train/metrics.js";
import { checkSearchTarget, checkTarget } from "../train/target.js";
import { openTask, type Task } from "../train/task.js";
import { addCache, type CacheUse, NO_TOTALS } from "../train/totals.js";
import { type ArmSearchOptions, searchArm } from "./arm-search.js";
import { allDiverged, type Best, type Choice, choiceOf, noTrial } from "./choice.js";
import { type FinalistOptions, retrain, seedKey } from "./finalists.js";
import { assembleFindings } from "./findings.js";
import { idleOptions } from "./idle-options.js";
import { lanesOf } from "./lanes.js";
import { changesTrials, trainingKey } from "./manifest.js";
import { type ModelFile, modelDir, winnerModel } from "./model-file.js";
import { writeOutputs } from "./outputs.js";
import { PhaseClock } from "./phase-clock.js";
import { openStudies, STARTED } from "./studies.js";
import { chosenBefore, enterTestRead, testWasRead } from "./test-reads.js";

export interface SearchResult {
  readonly outputDir: string;
  readonly storage: string;
  /** Of the best trial. */
  readonly rates: LayerRates;
  readonly bestTrial: { readonly number: number; readonly value: number };
  readonly trials: number;
  /** Everything the report shows. */
  readonly findings: SearchFindings;
  /** Wall seconds of this process, by phase. */
  readonly seconds: Readonly<Record<string, number>>;
  /** Use of the frozen prefix's cache by the trainings of this process. */
  readonly cache: CacheUse;
}

/**
 * @throws ConfigError, DataError, ModelError, StoreError before work; StoreError ERR_STORE_TEST_READ before test is read
 *         again; TrainingError ERR_NO_TRIAL when no trial completed, ERR_NAN_LOSS when the winner diverged on every seed.
 */
export async function runSearch(
  given: SearchConfig,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<SearchResult> {
  const clock = new PhaseClock(emit);
  clock.enter("prepare", 0);
  using _claim = await claimOutputDir(given.outputDir);
  await checkSearchTarget(given.outputDir);
  await checkTarget(modelDir(given), given.model);
  await using task = await openTask(given, signal);
  const notify = (message: string) => emit({ type: "notice", message });
  task.notices.forEach(notify);
  const storage = given.storage ?? `sqlite:///${path.join(given.outputDir, "study.db")}`;
  await using store = await SqliteStore.open(storage, signal);
  signal.throwIfAborted(); // before there is a study that the next call would have to resume
  using studies = await openStudies(store, task, given, notify);
  const { layers, uniform, config, manifest } = studies;
  const notices: ReportNotice[] = task.notices.map((text) => ({ tone: "info", text }));
  const warn = (text: string) => {
    notices.push({ tone: "warning", text });
    notify(text);
  };
  task.overlaps.forEach(warn);
  for (const { at, changed } of await layers.forcedResumes())
    warn(
      `Resumed with --force on ${at.slice(0, 10)} although ${changed.join(", ")} had changed${changed.some(changesTrials) ? ": trials before and after are compared as if nothing had" : ""}.`,
    );

  idleOptions(config, task.splits.train.dataset.examples.length).forEach(notify);
  const lanes = lanesOf(config, task);
  let cache = NO_TOTALS.cache;
  // A choice that test has seen stays as it was: what is missing of its trials is not made up for.
  const isOver = async () => !config.force && (await testWasRead(layers));
  const runArm = async (phase: ArmSearchOptions["phase"], study: Study, nTrials: number, seconds: number) => {
    clock.enter(phase, nTrials);
    const deadline = performance.now() + seconds * 1e3;
    const options = { ...config, phase, nTrials, lanes, deadline, isOver };
    cache = addCache(cache, await searchArm(study, task, options, emit, signal));
  };
  const begin = performance.now();
  const limit = config.timeout ?? Number.POSITIVE_INFINITY;
  const left = () => limit - (performance.now() - begin) / 1e3;
  // Another process may have resumed the search with more trials meanwhile.
  const planned = async () => Number((await layers.manifest()).n_trials);
  let nTrials = 0;
  do {
    nTrials = await planned();
    if (await isOver()) break;
    await runArm("search", layers, nTrials, uniform ? left() / 2 : left());
    if (uniform) await runArm("baseline", uniform, nTrials, left());
  } while ((await planned()) > nTrials);
  // Another process that came first has chosen for this one too, from the trials there were.
  const before = (await isOver()) ? await chosenBefore(layers) : undefined;
  const chosen = await choiceOf(layers, before?.perLayer);
  const plain = uniform && (await choiceOf(uniform, before?.uniform));
  if (!chosen.best) throw noTrial(chosen, config);
  for (const [name, arm] of [["search", chosen] as const, ["baseline", plain] as const]) {
    if (arm && arm.trials < nTrials)
      warn(
        `Only ${arm.trials} of the ${nTrials} trials of the ${name} had run when ${config.timeout === undefined ? "test was read" : "its time was over"}. Once test has been read, only --force goes on with them.`,
      );
  }
  if (plain && !plain.best) warn("There is no baseline: none of its trials completed.");

  // From here on nothing is chosen any more: the test rows may be read.
  signal.throwIfAborted();
  const nSeeds = Number((await layers.manifest()).n_seeds);
  const seeds = before?.seeds ?? Array.from({ length: nSeeds }, (_, i) => config.seed + 1 + i);
  if (seeds.length !== nSeeds)
    warn(
      `Compared with ${seeds.length} seeds, not ${nSeeds}: test was read before another number was asked for.`,
    );
  const finalist = (arm: string, { rates }: Best): FinalistOptions => ({
    ...{ ...config, arm, rates, seeds, lanes },
    key: trainingKey(rates, manifest),
  });
  const finalists = [
    finalist("per-layer", chosen.best),
    ...(plain?.best ? [finalist("uniform", plain.best)] : []),
  ];
  const testReadAt = await enterTestRead(store, layers, {
    chosen: { perLayer: chosen.best.number, uniform: plain?.best?.number ?? null, seeds },
    seeds: finalists.flatMap((options) => seeds.map((seed) => seedKey(options, seed))),
    file: task.splits.test!.dataset.hash,
    force: config.force,
  });
  clock.enter("retrain", seeds.length * finalists.length);
  const result = async (options: FinalistOptions, choice: Choice, model: ModelFile | null) => {
    const retrained = await retrain(layers, task, options, model, emit, signal);
    cache = addCache(cache, retrained.cache);
    const { seeds: scored, diverged } = retrained;
    for (const seed of diverged)
      warn(
        `${options.arm}, seed ${seed}: retraining diverged (a loss that is not finite). It has no score, and the means of the other seeds look better for it.`,
      );
    const { arm: name, rates } = options;
    return {
      ...{ name, rates, diverged },
      trials: choice.trials,
      bestValidation: choice.best!.value,
      seeds: scored,
    };
  };
  const model = winnerModel(task, config, chosen.best.rates, {
    trials: chosen.trials,
    seeds: seeds.length,
  });
  const winner: ArmResult = await result(finalists[0]!, chosen, model);
  if (winner.seeds.length === 0) throw allDiverged(winner.name, seeds);
  let baseline: ArmResult | null = plain?.best ? await result(finalists[1]!, plain, null) : null;
  if (baseline && baseline.seeds.length === 0) {
    warn("There is nothing to compare with: the baseline diverged under every seed.");
    baseline = null;
  }

  const largest = majorityOf(task);
  if ([winner, baseline].every((arm) => !arm || meanTest(arm) <= largest.test))
    warn(
      `No configuration is better on test than always answering ${JSON.stringify(largest.label)}, the largest class of train (${(100 * largest.test).toFixed(1)} %): nothing was learned, so what costs less is no gain.`,
    );

  clock.enter("analyse", 0);
  const findings = await assembleFindings({
    ...{ signal, config, task, winner, baseline, majority: largest, testReadAt, notices },
    trials: await layers.planned(),
    startedAt: ((await layers.userAttr(STARTED)) as string | undefined) ?? null,
  });
  signal.throwIfAborted();
  clock.enter("write", 4);
  await writeOutputs(config.outputDir, findings, { winner: winner.rates, uniform: baseline?.rates ?? null });
  emit({ type: "saved", path: config.outputDir });
  return {
    outputDir: config.outputDir,
    storage,
    rates: winner.rates,
    bestTrial: { number: chosen.best.number, value: chosen.best.value },
    trials: findings.trials.length,
    findings,
    seconds: clock.end(),
    cache,
  };
}

function majorityOf({ splits, labels }: Task): SearchFindings["majority"] {
  const { label, accuracy } = majority(
    splits.train.encoded.labels,
    splits.test!.encoded.labels,
    labels.names.length,
  );
  return { label: labels.names[label]!, test: accuracy };
}

const meanTest = ({ seeds }: ArmResult) => seeds.reduce((sum, { test }) => sum + test, 0) / seeds.length;
