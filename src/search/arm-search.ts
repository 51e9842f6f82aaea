/**
 * One arm of the comparison: a study run to its number of trials, K trials at a time as the lanes of one session. Lanes
 * have the bits they would have alone, so K changes how long a study takes and which proposals saw which results. Those
 * that are queued need no results and are grouped by cost; the K of a group of proposals are asked for at once, each
 * knowing the parameters of those before it.
 */
import { setTimeout } from "node:timers/promises";
import type { SearchEvent, SearchPhase } from "../events.js";
import type { TrialResult } from "../study/store.js";
import { armOf, type Study } from "../study/study.js";
import type { Trial } from "../study/trial.js";
import type { TrialRecord } from "../study/types.js";
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
  /** Whether the choice was made meanwhile, by another process. */
  readonly isOver: () => Promise<boolean>;
}

/** Milliseconds between looks at what another process runs. */
const POLL_MS = 500;

/**
 * Runs what is missing of the study's trials. Finished ones, also of an earlier process, are left as they are; those that
 * another one runs now are waited for. When `signal` aborts, those that run are given back to the queue.
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
  const { phase, nTrials, lanes, deadline, isOver } = options;
  let cache = NO_TOTALS.cache;
  for (let waits = 0; ; ) {
    signal.throwIfAborted();
    const elsewhere = await study.runningElsewhere();
    const planned = await study.planned();
    const finished = planned.filter(isFinished).length;
    const late = performance.now() > deadline;
    if (finished >= nTrials || (late && elsewhere === 0) || (await isOver())) return cache;
    const group = nextGroup(await study.queued(), task.groups, lanes);
    const most = late ? 0 : group.length || proposalsAtOnce(planned, options);
    const count = Math.min(nTrials - finished - elsewhere, most);
    const trials: Trial[] = [];
    try {
      for (let k = 0; k < count; k++) {
        const trial = await study.ask(group[k], nTrials);
        if (!trial) break;
        trials.push(trial);
        emit({ type: "trialStart", phase, number: trial.number, arm: trial.arm });
      }
      if (trials.length > 0)
        cache = addCache(cache, await runTrials(study, trials, task, options, emit, signal));
    } catch (error) {
      // Where the store fails too, the next process finds them running and nobody at it.
      await study.release(trials, signal.aborted ? "given back" : "lost").catch(() => {});
      throw error;
    }
    if (trials.length > 0) continue;
    if (waits++ === 0)
      emit({ type: "notice", message: `${study.name}: waiting for trials that another process runs` });
    await setTimeout(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

/**
 * Proposals made together know none of each other's results. On many cores a lane each would make of all that is left one
 * blind draw: at most a quarter of them at once, two where there are few.
 */
function proposalsAtOnce(
  planned: readonly TrialRecord[],
  { nTrials, lanes }: Pick<ArmSearchOptions, "nTrials" | "lanes">,
): number {
  const proposals = nTrials - planned.filter((trial) => armOf(trial) !== "optimized").length;
  return Math.min(lanes, Math.max(2, Math.floor(proposals / 4)));
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
export function evaluationsOf(
  options: Pick<ArmSearchOptions, "earlyStoppingPatience" | "pruner" | "evalStrategy">,
): ArmSearchOptions["evalStrategy"] {
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
