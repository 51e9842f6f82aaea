/**
 * The whole search: trials, a uniform-rate baseline with as many, both retrained on the same seeds and scored once on
 * test, layers analysed, a report and a model folder written. Every step is stored as it ends, and a resumed search does
 * only what is missing.
 */
import path from "node:path";
import type { ArmResult } from "../analysis/types.js";
import type { SearchConfig } from "../config/schema.js";
import { TrainingError } from "../errors.js";
import type { SearchEvent } from "../events.js";
import { asWriteError, makeFolder, writeFileAtomic, writeJsonAtomic } from "../models/atomic.js";
import {
  buildReport,
  type ReportNotice,
  renderHtml,
  renderJson,
  renderMarkdown,
  type SearchFindings,
} from "../report/index.js";
import { MedianPruner } from "../study/pruners/median.js";
import { NonePruner } from "../study/pruners/none.js";
import { RandomSampler } from "../study/samplers/random.js";
import { TpeSampler } from "../study/samplers/tpe.js";
import type { Store } from "../study/store.js";
import { SqliteStore } from "../study/stores/sqlite.js";
import { Study } from "../study/study.js";
import type { Space, TrialRecord } from "../study/types.js";
import { threadsOf } from "../train/core-spec.js";
import type { LayerRates } from "../train/layer-rates.js";
import { saveTrained } from "../train/save.js";
import { openTask, type Task } from "../train/task.js";
import { type ArmSearchOptions, bestTrial, searchArm } from "./arm-search.js";
import { type KeepBest, retrain } from "./finalists.js";
import { assembleFindings } from "./findings.js";
import { encodeRates, layerSpace, uniformSpace } from "./space.js";
import { warmStarts } from "./warm-starts.js";

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
}

const TEST_READ = "permafrost:test_read_at";
const STARTED = "permafrost:started_at";

/** @throws ConfigError, DataError, ModelError, StoreError before work; TrainingError ERR_NO_TRIAL when no trial completed. */
export async function runSearch(
  config: SearchConfig,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<SearchResult> {
  const clock = new PhaseClock(emit);
  clock.enter("prepare", 0);
  await using task = await openTask(config);
  for (const message of task.notices) emit({ type: "notice", message });
  await makeFolder(config.outputDir).catch((error) => {
    throw asWriteError(error, config.outputDir);
  });
  const storage = config.storage ?? `sqlite:///${path.join(config.outputDir, "study.db")}`;
  await using store = SqliteStore.open(storage);
  const deadline =
    config.timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + config.timeout * 1e3;
  const lanes = config.lanes ?? threadsOf(config);
  const arm = (phase: ArmSearchOptions["phase"]): ArmSearchOptions => ({ ...config, phase, lanes, deadline });

  const study = await openStudy(store, task, config, config.studyName, layerSpace(task.groups, config));
  await queueWarmStarts(study, task, config);
  clock.enter("search", config.nTrials);
  await searchArm(study, task, arm("search"), emit, signal);
  const best = requireBest(bestTrial(await study.planned()), config.studyName);

  let baselineBest: TrialRecord | null = null;
  if (config.baseline) {
    const uniform = await openStudy(store, task, config, `${config.studyName}-uniform`, uniformSpace(config));
    await queueUniformStarts(uniform, config);
    clock.enter("baseline", config.nTrials);
    await searchArm(uniform, task, arm("baseline"), emit, signal);
    baselineBest = requireBest(bestTrial(await uniform.planned()), uniform.name);
  }

  // From here on nothing is chosen any more: the test rows may be read.
  const testReadAt = ((await study.userAttr(TEST_READ)) as string[] | undefined) ?? [];
  if (testReadAt.length === 0 || config.force) testReadAt.push(new Date().toISOString());
  await study.setUserAttrs({ [TEST_READ]: testReadAt });
  const seeds = Array.from({ length: config.nSeeds }, (_, i) => config.seed + 1 + i);
  clock.enter("retrain", config.nSeeds * (config.baseline ? 2 : 1));
  const finalist = async (
    name: string,
    record: TrialRecord,
    trials: number,
    keep: KeepBest | null,
  ): Promise<ArmResult> => {
    const rates = record.userAttrs.rates as LayerRates;
    const results = await retrain(
      study,
      task,
      { ...config, arm: name, rates, seeds, lanes },
      keep,
      emit,
      signal,
    );
    return { name, rates, trials, bestValidation: record.value!, seeds: results };
  };
  const modelDir = path.join(config.outputDir, "model");
  const keepModel: KeepBest = async (session, lane, seed, scored) => {
    await saveTrained(modelDir, task, session, lane, {
      dtype: config.saveDtype,
      rates: best.userAttrs.rates as LayerRates,
      ...scored,
      hyperparameters: {
        seed,
        num_train_epochs: config.numTrainEpochs,
        per_device_train_batch_size: config.perDeviceTrainBatchSize,
        weight_decay: config.weightDecay,
        warmup_steps: config.warmupSteps,
        lr_scheduler_type: config.lrSchedulerType,
        max_grad_norm: config.maxGradNorm,
      },
      summary: `Fine-tuned with a learning rate for each layer, found by permafrost in ${config.nTrials} trials; of ${seeds.length} seeds this is the one best on validation.`,
    });
  };
  const winner = await finalist("per-layer", best, config.nTrials, keepModel);
  const baseline = baselineBest ? await finalist("uniform", baselineBest, config.nTrials, null) : null;

  clock.enter("analyse", 0);
  const findings = assembleFindings({
    config,
    task,
    trials: await study.planned(),
    winner,
    baseline,
    startedAt: String(await study.userAttr(STARTED)),
    testReadAt,
    notices: noticesOf(task, config, deadline),
  });
  clock.enter("write", 4);
  await writeOutputs(config.outputDir, findings, winner, baseline);
  emit({ type: "saved", path: config.outputDir });
  return {
    outputDir: config.outputDir,
    storage,
    rates: winner.rates,
    bestTrial: { number: best.number, value: best.value! },
    trials: findings.trials.length,
    findings,
    seconds: clock.end(),
  };
}

async function openStudy(
  store: Store,
  task: Task,
  config: SearchConfig,
  studyName: string,
  space: Space,
): Promise<Study> {
  const options = {
    store,
    studyName,
    direction: "maximize" as const,
    space,
    sampler: config.sampler === "tpe" ? new TpeSampler() : new RandomSampler(),
    pruner:
      config.pruner === "median"
        ? new MedianPruner({ nStartupTrials: 5, nWarmupSteps: 1 })
        : new NonePruner(),
    seed: config.seed,
    nRandomTrials: randomTrials(config),
    manifest: manifestOf(task, config),
    metricName: "validation accuracy",
  };
  const exists = (await store.findStudy(studyName)) !== null;
  // A search killed before its baseline began has no baseline study yet.
  if (config.resume && (exists || studyName === config.studyName)) return Study.resume(options, config.force);
  const study = await Study.create(options);
  await study.setUserAttrs({ [STARTED]: new Date().toISOString() });
  return study;
}

const randomTrials = ({ nRandomTrials, nTrials }: SearchConfig) => nRandomTrials ?? Math.ceil(0.4 * nTrials);

function manifestOf(task: Task, config: SearchConfig): Record<string, unknown> {
  const {
    numTrainEpochs,
    maxSteps,
    perDeviceTrainBatchSize,
    weightDecay,
    maxGradNorm,
    warmupSteps,
    lrSchedulerType,
  } = config;
  const {
    trainSamplingStrategy,
    labelSmoothingFactor,
    seed,
    maxLength,
    precision,
    sampler,
    pruner,
    nTrials,
  } = config;
  const { learningRateRange, headLearningRateRange, lrOffset } = config;
  return {
    model: task.folder.hash,
    train: task.splits.train.encoded.hash,
    validation: task.splits.validation.encoded.hash,
    test: task.splits.test!.encoded.hash,
    ...{
      numTrainEpochs,
      maxSteps,
      perDeviceTrainBatchSize,
      weightDecay,
      maxGradNorm,
      warmupSteps,
      lrSchedulerType,
    },
    ...{ trainSamplingStrategy, labelSmoothingFactor, seed, maxLength, precision, sampler, pruner, nTrials },
    ...{ learningRateRange, headLearningRateRange, lrOffset, nRandomTrials: randomTrials(config) },
  };
}

/** Queued in one go when the study is new; the randomised arm keeps its share of a small budget. */
async function queueWarmStarts(study: Study, task: Task, config: SearchConfig): Promise<void> {
  if ((await study.trials()).length > 0) return;
  const room = Math.max(0, config.nTrials - randomTrials(config));
  for (const { name, rates } of warmStarts(task.groups).slice(0, room)) {
    await study.enqueueTrial(encodeRates(task.groups, rates, config), { warm_start: name });
  }
}

async function queueUniformStarts(study: Study, config: SearchConfig): Promise<void> {
  if ((await study.trials()).length > 0) return;
  for (const rate of [5e-5, 2e-5].slice(0, config.nTrials)) {
    await study.enqueueTrial({ learning_rate: rate, "lr.head": 1e-3 }, { warm_start: `uniform ${rate}` });
  }
}

function requireBest(best: TrialRecord | null, studyName: string): TrialRecord {
  if (best) return best;
  throw new TrainingError("ERR_NO_TRIAL", "no trial completed", [
    {
      path: studyName,
      expected: "at least one trial with a finite loss",
      received: "none",
      hint: "lower learning_rate_range",
    },
  ]);
}

function noticesOf(task: Task, config: SearchConfig, deadline: number): ReportNotice[] {
  const notices: ReportNotice[] = task.notices.map((text) => ({ tone: "info", text }));
  if (performance.now() > deadline) {
    notices.push({
      tone: "warning",
      text: `The time limit of ${config.timeout} s ended the search before all ${config.nTrials} trials had run.`,
    });
  }
  return notices;
}

async function writeOutputs(
  dir: string,
  findings: SearchFindings,
  winner: ArmResult,
  baseline: ArmResult | null,
): Promise<void> {
  const report = buildReport(findings);
  await writeFileAtomic(path.join(dir, "report.html"), await renderHtml(report));
  await writeFileAtomic(path.join(dir, "report.md"), renderMarkdown(report));
  await writeFileAtomic(path.join(dir, "report.json"), renderJson(findings));
  await writeJsonAtomic(path.join(dir, "layers.json"), {
    learning_rate_per_layer: winner.rates,
    frozen: Object.keys(winner.rates).filter((group) => winner.rates[group] === 0),
    uniform: baseline?.rates ?? null,
  });
}

/** Says which phase begins, and how long each took. */
class PhaseClock {
  readonly #seconds: Record<string, number> = {};
  #name: string | null = null;
  #begin = 0;

  constructor(private readonly emit: (event: SearchEvent) => void) {}

  enter(phase: Extract<SearchEvent, { type: "phase" }>["phase"], total: number): void {
    this.end();
    [this.#name, this.#begin] = [phase, performance.now()];
    this.emit({ type: "phase", phase, total });
  }

  end(): Record<string, number> {
    if (this.#name) this.#seconds[this.#name] = (performance.now() - this.#begin) / 1e3;
    this.#name = null;
    return this.#seconds;
  }
}
