/** One configuration, trained and saved: `fineTune` and `permafrost train`. */
import { TrainingError } from "../errors.js";
import type { TrainEvent } from "../events.js";
import type { ProfileRow } from "../native/contract.js";
import { checkpointDir, readCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { claimOutputDir } from "./claim.js";
import { hyperparametersOf } from "./hyperparameters.js";
import { type LayerRates, layerRates, type RateOptions } from "./layer-rates.js";
import { manifestOf } from "./manifest.js";
import type { Scores } from "./metrics.js";
import { saveTrained } from "./save.js";
import { checkTarget } from "./target.js";
import { openTask, type TaskOptions } from "./task.js";
import type { CacheUse } from "./totals.js";
import { Trainer, type TrainerOptions } from "./trainer.js";
import { trainerState, trainSummary } from "./trainer-state.js";
import { TrainingLog } from "./training-log.js";

export interface FineTuneConfig extends TaskOptions, TrainerOptions, RateOptions {
  readonly outputDir: string;
  readonly dataSeed?: number | undefined;
  readonly loggingSteps: number;
  readonly saveSteps?: number | undefined;
  readonly saveDtype: "fp32" | "fp16" | "bf16";
  readonly resumeFromCheckpoint?: string | undefined;
}

export interface TrainResult {
  readonly outputDir: string;
  readonly rates: LayerRates;
  readonly steps: number;
  /** Scores of the saved weights. */
  readonly validation: Scores;
  readonly test: Scores | null;
  readonly trainedParameters: number;
  readonly parameters: number;
  /** Of training as it ran, without evaluations; with those of earlier processes when it went on from a checkpoint. */
  readonly flops: number;
  /** Of training and the evaluations in between, likewise. */
  readonly seconds: number;
  /** Use of the frozen prefix's cache. */
  readonly cache: CacheUse;
  /** Time per op kind in the core. */
  readonly profile: readonly ProfileRow[];
}

/**
 * @throws ConfigError, DataError, ModelError before training; TrainingError ERR_NAN_LOSS when the loss is not finite;
 *   the signal's reason on abort. Nothing but checkpoints is written unless training ends; the folder is
 *   claimed meanwhile.
 */
export async function runFineTune(
  config: FineTuneConfig,
  emit: (event: TrainEvent) => void,
  signal: AbortSignal,
): Promise<TrainResult> {
  using _claim = await claimOutputDir(config.outputDir);
  await checkTarget(config.outputDir, config.model);
  await using task = await openTask(config, signal);
  for (const message of [...task.notices, ...task.overlaps]) emit({ type: "notice", message });
  const rates = layerRates(task.groups, config);
  await using trainer = await Trainer.open(task, { ...config, inPlace: true }, [
    { rates, seed: config.seed, dataSeed: config.dataSeed },
  ]);
  const manifest = manifestOf(task, config, rates);
  let log = new TrainingLog(rates, config.loggingSteps);
  let best: Uint8Array | null = null;
  let bestCheckpoint: string | null = null;
  if (config.resumeFromCheckpoint !== undefined) {
    const checkpoint = await readCheckpoint(config.resumeFromCheckpoint, manifest);
    if (checkpoint.best) {
      // The snapshot of the best weights lives in the core: load, remember, then load where the run was.
      await trainer.session.loadState(0, checkpoint.best);
      await trainer.session.snapshot(0);
      best = checkpoint.best;
    }
    const { step, state, evaluations, totals } = checkpoint;
    await trainer.resume(step, [state], [evaluations], totals);
    bestCheckpoint = checkpoint.bestCheckpoint;
    log = new TrainingLog(rates, config.loggingSteps, checkpoint.log);
  }
  emit({
    type: "start",
    totalSteps: trainer.totalSteps,
    trainRows: task.splits.train.encoded.labels.length,
    trainedParameters: trainer.trainedParameters(0),
    rates,
  });

  const [outcome] = await trainer.run(
    {
      onStep: (_, entry) => {
        log.step(entry);
        const learningRates = Object.fromEntries(
          Object.entries(rates).map(([g, r]) => [g, r * entry.factor]),
        );
        emit({ type: "step", ...pick(entry, ["step", "epoch", "loss", "gradNorm"]), learningRates });
      },
      onEvaluation: async (_, evaluation) => {
        log.evaluation(evaluation);
        emit({ type: "evaluation", ...evaluation });
        if (!evaluation.best) return undefined;
        bestCheckpoint = savesAt(evaluation.step) ? checkpointDir(config.outputDir, evaluation.step) : null;
        if (config.saveSteps !== undefined && config.loadBestModelAtEnd)
          best = await trainer.session.saveState(0);
        return undefined;
      },
      onChunk: async (step) => {
        if (!savesAt(step)) return;
        const state = await trainer.session.saveState(0);
        const evaluations = trainer.evaluations(0);
        const { totals } = trainer;
        const written = await writeCheckpoint(
          config.outputDir,
          { step, state, best, evaluations, log: log.state(), totals, bestCheckpoint, manifest },
          stateFile(step),
        );
        emit({ type: "saved", path: written });
      },
    },
    signal,
  );
  if (outcome!.state === "diverged") {
    throw new TrainingError("ERR_NAN_LOSS", `the loss is not finite after step ${outcome!.steps}`, [
      {
        path: "learning_rate_per_layer",
        expected: "rates that keep the loss finite",
        received: JSON.stringify(rates),
        hint: "lower the rates or lengthen warmup_steps",
      },
    ]);
  }
  const validation = pick(outcome!.final!, ["accuracy", "loss"]);
  const test = task.splits.test ? await trainer.score(0, task.splits.test, signal) : null;
  const { steps, trainedParameters } = outcome!;
  const summary = trainSummary(trainer, log, { step: steps, spent: trainer.totals });
  log.end(summary);
  const { step: _, ...train } = summary;
  await saveTrained(config.outputDir, task, trainer.session, 0, {
    dtype: config.saveDtype,
    rates,
    validation,
    test,
    hyperparameters: hyperparametersOf({ ...config, maxLength: task.maxLength }),
    trainerState: stateFile(steps),
    results: {
      train,
      eval: { eval_accuracy: validation.accuracy, eval_loss: validation.loss },
      test: test && { test_accuracy: test.accuracy, test_loss: test.loss },
    },
  });
  const { flops, seconds, cache } = trainer.totals;
  emit({ type: "saved", path: config.outputDir });
  return {
    outputDir: config.outputDir,
    rates,
    steps,
    validation,
    test: test && pick(test, ["accuracy", "loss"]),
    trainedParameters,
    parameters: task.native.description.parameters,
    flops,
    seconds,
    cache,
    profile: trainer.session.profile(),
  };

  /** The last step needs no checkpoint: the model is written. */
  function savesAt(step: number): boolean {
    return config.saveSteps !== undefined && step % config.saveSteps === 0 && step < trainer.totalSteps;
  }

  function stateFile(step: number): Record<string, unknown> {
    const best = trainer.evaluations(0).findLast((evaluation) => evaluation.best) ?? null;
    return trainerState(trainer, log, config, { step, spent: trainer.totals, best, bestCheckpoint });
  }
}

function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}
