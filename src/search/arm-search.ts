/**
 * One arm of the comparison: a study run to its number of trials, K trials at a time as the lanes of one session. Lanes
 * have the bits they would have alone, so K changes how long a study takes and which proposals saw which results. Those
 * that are queued need no results and are grouped by cost; the K of a group of proposals are asked for at once, each
 * knowing the parameters of those before it.
 */
import type { SearchEvent, SearchPhase } from "../events.js";
import type { TrialResult } from "../study/store.js";
import type { Study } from "../study/study.js";
import type { Trial } from "../study/trial.js";
import type { LayerRates } from "../train/layer-rates.js";
import type { Task } from "../train/task.js";
import { addCache, type CacheUse, NO_TOTALS } from "../train/totals.js";
import { type LaneOutcome, Trainer, type TrainerOptions } from "../train/trainer.js";
import { bestTrial, isFinished, type TrialAttrs } from "./choice.js";
import { nextGroup } from "./grouping.js";
import { decodeRates } from "./space.js";

export interface ArmSearchOptions extends TrainerOptions {
  readonly phase: Extract<SearchPhase, "search" | "baseline">;
  readonly nTrials: number;
  readonly lanes: number;
  readonly seed: number;
  readonly dataSeed?: number | undefined;
  readonly pruner: "median" | "none";
  /** performance.now() after which no trial starts. */
  readonly deadline: number;
}

/**
 * Runs what is missing of the study's trials. Finished ones, also of an earlier process, are left as they are. When `signal`
 * aborts, those that run are given back to the queue.
 *
 * @returns what the trials read of the frozen prefix's cache.
 */
export async function searchArm(
  study: Study,
  task: Task,
  options: ArmSearchOptions,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<CacheUse> {
  let cache = NO_TOTALS.cache;
  for (;;) {
    signal.throwIfAborted();
    const planned = await study.planned();
    const finished = planned.filter(isFinished).length;
    const left = options.nTrials - finished;
    if (left <= 0 || performance.now() > options.deadline) return cache;
    const group = nextGroup(await study.queued(), task.groups, options.lanes);
    const count = Math.min(left, group.length || options.lanes);
    const trials: Trial[] = [];
    try {
      for (let k = 0; k < count; k++) {
        const trial = await study.ask(group[k]);
        trials.push(trial);
        emit({ type: "trialStart", phase: options.phase, number: trial.number, arm: trial.arm });
      }
      cache = addCache(cache, await runTrials(study, trials, task, options, emit, signal));
    } catch (error) {
      // Where the store fails too, the next process finds them running and nobody at it.
      if (signal.aborted) await study.release(trials).catch(() => {});
      throw error;
    }
  }
}

async function runTrials(
  study: Study,
  trials: readonly Trial[],
  task: Task,
  options: ArmSearchOptions,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<CacheUse> {
  const { phase, seed, dataSeed } = options;
  const rates = trials.map((trial) => decodeRates(task.groups, trial.params));
  const evalStrategy = evaluationsOf(options);
  await using trainer = await Trainer.open(
    task,
    // The objective is the last evaluation's accuracy: nothing of a trial is kept, so nothing needs restoring.
    { ...options, loadBestModelAtEnd: false, evalStrategy },
    rates.map((r) => ({ rates: r, seed, dataSeed })),
  );
  const outcomes = await trainer.run(
    {
      onEvaluation: async (lane, { step, epoch, accuracy }) => {
        const trial = trials[lane]!;
        emit({ type: "trialProgress", phase, number: trial.number, epoch, value: accuracy });
        if (step === trainer.totalSteps) return undefined;
        // Evaluations are counted, from 1: several may fall into one epoch, and trials are compared at the same count.
        await trial.report(accuracy, trainer.evaluations(lane).length);
        return (await trial.shouldPrune()) ? "prune" : undefined;
      },
    },
    signal,
  );
  const comparable = evalStrategy !== "rungs";
  const results = trials.map(
    (trial, lane) => [trial, resultOf(trial, rates[lane]!, outcomes[lane]!, comparable)] as const,
  );
  await study.finish(new Map(results));
  await emitEnds(study, trials, rates, outcomes, options, emit);
  return trainer.totals.cache;
}

/**
 * When a trial is scored. Where nothing is decided on the way, at its end; where the pruner alone looks, at its rungs: after
 * each of ten epochs the scoring would cost a fifth of a trial.
 */
function evaluationsOf(options: ArmSearchOptions): ArmSearchOptions["evalStrategy"] {
  if (options.earlyStoppingPatience !== undefined) return options.evalStrategy;
  if (options.pruner === "none") return "no";
  return options.evalStrategy === "epoch" ? "rungs" : options.evalStrategy;
}

/** @param comparable whether all its evaluations scored the same rows. */
function resultOf(trial: Trial, rates: LayerRates, outcome: LaneOutcome, comparable: boolean): TrialResult {
  const last = outcome.evaluations.at(-1);
  const attrs: TrialAttrs = {
    rates,
    validation_loss: last?.loss ?? null,
    best_epoch: comparable && outcome.evaluations.length > 1 ? (outcome.best?.epoch ?? null) : null,
    seconds: outcome.seconds,
    flops: outcome.flops,
    trained_parameters: outcome.trainedParameters,
  };
  if (outcome.state === "diverged") return trial.failed("nan_loss", { ...attrs });
  if (outcome.state === "pruned") return trial.pruned({ ...attrs });
  return trial.completed(last!.accuracy, { ...attrs });
}

async function emitEnds(
  study: Study,
  trials: readonly Trial[],
  rates: readonly LayerRates[],
  outcomes: readonly LaneOutcome[],
  options: ArmSearchOptions,
  emit: (event: SearchEvent) => void,
): Promise<void> {
  const planned = await study.planned();
  const best = bestTrial(planned);
  const finished = planned.filter(isFinished).length - trials.length;
  for (const [lane, { number, arm }] of trials.entries()) {
    const { state, value } = planned.find((t) => t.number === number)!;
    emit({
      type: "trialEnd",
      phase: options.phase,
      number,
      arm,
      state,
      value,
      rates: rates[lane]!,
      seconds: outcomes[lane]!.seconds,
      best: best && { number: best.number, value: best.value! },
      finished: finished + lane + 1,
      total: options.nTrials,
    });
  }
}
