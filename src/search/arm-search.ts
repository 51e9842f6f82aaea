/**
 * One arm of the comparison: a study run to its number of trials, K trials at a time as the lanes of one session. Lanes
 * have the bits they would have alone, so K changes how long a study takes and which proposals saw which results.
 */
import type { SearchEvent, SearchPhase } from "../events.js";
import { armOf, type Study } from "../study/study.js";
import type { Trial } from "../study/trial.js";
import type { TrialRecord } from "../study/types.js";
import type { LayerRates } from "../train/layer-rates.js";
import type { Task } from "../train/task.js";
import { type LaneOutcome, Trainer, type TrainerOptions } from "../train/trainer.js";
import { decodeRates } from "./space.js";

export interface ArmSearchOptions extends TrainerOptions {
  readonly phase: Extract<SearchPhase, "search" | "baseline">;
  readonly nTrials: number;
  readonly lanes: number;
  readonly seed: number;
  readonly dataSeed?: number | undefined;
  /** performance.now() after which no trial starts. */
  readonly deadline: number;
}

export interface TrialSummary {
  readonly record: TrialRecord;
  readonly rates: LayerRates;
}

/** Attributes stored with a trial, beside the value: what the analysis reads back. */
export interface TrialAttrs {
  readonly rates: LayerRates;
  readonly validation_loss: number | null;
  readonly best_epoch: number | null;
  readonly seconds: number;
  readonly flops: number;
  readonly trained_parameters: number;
}

/** Runs what is missing of the study's trials. Finished ones, also of an earlier process, are left as they are. */
export async function searchArm(
  study: Study,
  task: Task,
  options: ArmSearchOptions,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const planned = await study.planned();
    const finished = planned.filter(isFinished).length;
    const left = options.nTrials - finished;
    if (left <= 0 || performance.now() > options.deadline) return;
    const trials: Trial[] = [];
    for (let k = 0; k < Math.min(left, options.lanes); k++) {
      const trial = await study.ask();
      trials.push(trial);
      emit({ type: "trialStart", phase: options.phase, number: trial.number, arm: trial.arm });
    }
    await runTrials(study, trials, task, options, emit, signal);
  }
}

async function runTrials(
  study: Study,
  trials: readonly Trial[],
  task: Task,
  options: ArmSearchOptions,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const { phase, seed, dataSeed } = options;
  const rates = trials.map((trial) => decodeRates(task.groups, trial.params));
  await using trainer = await Trainer.open(
    task,
    // The objective is the last evaluation's accuracy: nothing of a trial is kept, so nothing needs restoring.
    { ...options, loadBestModelAtEnd: false },
    rates.map((r) => ({ rates: r, seed, dataSeed })),
  );
  const outcomes = await trainer.run(
    {
      onEvaluation: async (lane, { step, epoch, accuracy }) => {
        const trial = trials[lane]!;
        emit({ type: "trialProgress", phase, number: trial.number, epoch, value: accuracy });
        if (step === trainer.totalSteps) return undefined;
        await trial.report(accuracy, Math.max(1, Math.round(epoch)));
        return (await trial.shouldPrune()) ? "prune" : undefined;
      },
    },
    signal,
  );
  for (const [lane, trial] of trials.entries()) {
    await record(trial, rates[lane]!, outcomes[lane]!);
    await emitEnd(study, trial, rates[lane]!, outcomes[lane]!, options, emit);
  }
}

function record(trial: Trial, rates: LayerRates, outcome: LaneOutcome): Promise<void> {
  const last = outcome.evaluations.at(-1);
  const attrs: TrialAttrs = {
    rates,
    validation_loss: last?.loss ?? null,
    best_epoch: outcome.best?.epoch ?? null,
    seconds: outcome.seconds,
    flops: outcome.flops,
    trained_parameters: outcome.trainedParameters,
  };
  if (outcome.state === "diverged") return trial.fail("nan_loss", { ...attrs });
  if (outcome.state === "pruned") return trial.prune({ ...attrs });
  return trial.complete(last!.accuracy, { ...attrs });
}

async function emitEnd(
  study: Study,
  trial: Trial,
  rates: LayerRates,
  outcome: LaneOutcome,
  options: ArmSearchOptions,
  emit: (event: SearchEvent) => void,
): Promise<void> {
  const planned = await study.planned();
  const best = bestTrial(planned);
  const own = planned.find((t) => t.number === trial.number)!;
  emit({
    type: "trialEnd",
    phase: options.phase,
    number: trial.number,
    arm: armOf(own),
    state: own.state,
    value: own.value,
    rates,
    seconds: outcome.seconds,
    best: best && { number: best.number, value: best.value! },
    finished: planned.filter(isFinished).length,
    total: options.nTrials,
  });
}

export const isFinished = (t: TrialRecord) =>
  t.state === "COMPLETE" || t.state === "PRUNED" || t.state === "FAIL";

/** Highest accuracy; ties by fewer FLOPs (the same accuracy for less is better), then lower validation loss, then the earlier. */
export function bestTrial(trials: readonly TrialRecord[]): TrialRecord | null {
  const attr = (t: TrialRecord, key: keyof TrialAttrs) =>
    (t.userAttrs[key] as number | null | undefined) ?? Number.POSITIVE_INFINITY;
  const complete = trials.filter((t) => t.state === "COMPLETE" && t.value !== null);
  complete.sort(
    (a, b) =>
      b.value! - a.value! ||
      attr(a, "flops") - attr(b, "flops") ||
      attr(a, "validation_loss") - attr(b, "validation_loss") ||
      a.number - b.number,
  );
  return complete[0] ?? null;
}
