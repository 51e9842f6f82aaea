/**
 * The last step: a configuration retrained with several seeds (new classifier, order of rows and dropout each), every seed
 * scored on test once. Everything was decided before; what a seed gave is stored, so a resumed search repeats none.
 */
import type { SeedResult } from "../analysis/types.js";
import type { SearchEvent } from "../events.js";
import type { Study } from "../study/study.js";
import type { LayerRates } from "../train/layer-rates.js";
import type { Task } from "../train/task.js";
import { addCache, type CacheUse, NO_TOTALS } from "../train/totals.js";
import { type LaneOutcome, Trainer, type TrainerOptions } from "../train/trainer.js";
import { endState } from "../train/trainer-state.js";
import { TrainingLog } from "../train/training-log.js";
import type { ModelFile } from "./model-file.js";

export interface FinalistOptions extends TrainerOptions {
  /** "per-layer", "uniform". */
  readonly arm: string;
  readonly rates: LayerRates;
  /** `trainingKey` of the rates: a seed of other rates, options or files is another one. */
  readonly key: string;
  readonly seeds: readonly number[];
  readonly lanes: number;
}

/** Steps between entries of the saved model's log: `permafrost train`'s default. */
const LOGGING_STEPS = 10;

export interface Retrained {
  /** Those that trained to their end, by seed. */
  readonly seeds: readonly SeedResult[];
  /** Those whose loss stopped being finite, or was not finite on test: nothing of them is scored. */
  readonly diverged: readonly number[];
  /** Of the trainings of this process. */
  readonly cache: CacheUse;
}

/** What is stored of a seed: `correct` as a string of 0 and 1. */
interface Scored extends Omit<SeedResult, "correct"> {
  readonly correct: string;
  readonly validationLoss: number;
  readonly testLoss: number;
  /** What the model file looked like when this seed was written there. */
  readonly model: string | null;
}
type StoredSeed = Scored | { readonly seed: number; readonly diverged: true };

export const seedKey = ({ arm, key }: Pick<FinalistOptions, "arm" | "key">, seed: number) =>
  `permafrost:seed:${arm}:${key}:${seed}`;

/** @param model where the weights of the seed that is best on validation go. */
export async function retrain(
  study: Study,
  task: Task,
  options: FinalistOptions,
  model: ModelFile | null,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<Retrained> {
  const { arm, seeds } = options;
  const done = new Map<number, StoredSeed>();
  for (const seed of seeds) {
    const stored = (await study.userAttr(seedKey(options, seed))) as StoredSeed | undefined;
    if (stored) done.set(seed, stored);
  }
  const store = async (result: StoredSeed, seconds: number) => {
    await study.setUserAttrs({ [seedKey(options, result.seed)]: result });
    done.set(result.seed, result);
    const validation = "diverged" in result ? null : result.validation;
    const progress = { finished: done.size, total: seeds.length };
    emit({ type: "seedEnd", arm, seed: result.seed, validation, seconds, ...progress });
  };
  let cache = NO_TOTALS.cache;
  const todo = seeds.filter((seed) => !done.has(seed));
  for (let at = 0; at < todo.length; at += options.lanes) {
    const group = todo.slice(at, at + options.lanes);
    await using trainer = await openTrainer(task, options, group);
    const { outcomes, stateOf } = await runLogged(trainer, options, group.length, signal);
    cache = addCache(cache, trainer.totals.cache);
    for (const [lane, seed] of group.entries()) {
      const { state, final, seconds, flops, trainedParameters } = outcomes[lane]!;
      if (state === "diverged") {
        await store({ seed, diverged: true }, seconds);
        continue;
      }
      const validation = final!;
      const test = await trainer.score(lane, task.splits.test!, signal);
      if (!Number.isFinite(test.loss)) {
        await store({ seed, diverged: true }, seconds);
        continue;
      }
      const scores = {
        validation: validation.accuracy,
        validationLoss: validation.loss,
        test: test.accuracy,
        testLoss: test.loss,
      };
      const best = scoredOf(done).every((other) => isBetter(scores, other));
      const result: Scored = {
        seed,
        ...scores,
        correct: test.correct.map((right) => (right ? "1" : "0")).join(""),
        cost: { seconds, flops, trainedParameters },
        model:
          model && best
            ? await model.write(trainer.session, lane, seed, {
                validation,
                test,
                trainerState: stateOf(lane),
              })
            : null,
      };
      await store(result, seconds);
    }
  }
  const best = scoredOf(done).reduce<Scored | null>((a, b) => (a && !isBetter(b, a) ? a : b), null);
  if (model && best && !(best.model !== null && (await model.holds(best.model)))) {
    const rewritten = await rewrite(task, options, best, model, signal);
    cache = addCache(cache, rewritten.cache);
    await study.setUserAttrs({ [seedKey(options, best.seed)]: { ...best, model: rewritten.model } });
  }
  return {
    seeds: seeds.flatMap((seed) => {
      const result = done.get(seed)!;
      return "diverged" in result ? [] : [seedResult(result)];
    }),
    diverged: seeds.filter((seed) => "diverged" in done.get(seed)!),
    cache,
  };
}

function openTrainer(task: Task, options: FinalistOptions, seeds: readonly number[]): Promise<Trainer> {
  const lanes = seeds.map((seed) => ({ rates: options.rates, seed, initial: task.initialFor(seed) }));
  return Trainer.open(task, { ...options, evalStrategy: evaluationsOf(options) }, lanes);
}

/** Where nothing is decided on the way a retraining is scored at its end, as the trials were that chose it. */
function evaluationsOf(options: FinalistOptions): FinalistOptions["evalStrategy"] {
  const decided = options.loadBestModelAtEnd || options.earlyStoppingPatience !== undefined;
  return decided ? options.evalStrategy : "no";
}

/** Trains every lane, with a log of each. `stateOf` makes a lane's trainer_state.json, once. */
async function runLogged(
  trainer: Trainer,
  options: FinalistOptions,
  lanes: number,
  signal: AbortSignal,
): Promise<{ outcomes: LaneOutcome[]; stateOf: (lane: number) => Record<string, unknown> }> {
  const logs = Array.from({ length: lanes }, () => new TrainingLog(options.rates, LOGGING_STEPS));
  const outcomes = await trainer.run(
    {
      onStep: (lane, entry) => logs[lane]!.step(entry),
      onEvaluation: (lane, evaluation) => {
        logs[lane]!.evaluation(evaluation);
        return undefined;
      },
    },
    signal,
  );
  const state = { ...options, loggingSteps: LOGGING_STEPS };
  return { outcomes, stateOf: (lane) => endState(trainer, logs[lane]!, state, outcomes[lane]!) };
}

/** Another output folder, or the file was lost: the same seed gives the same weights. Test rows are not read for it. */
async function rewrite(
  task: Task,
  options: FinalistOptions,
  { seed, ...scored }: Scored,
  model: ModelFile,
  signal: AbortSignal,
): Promise<{ model: string; cache: CacheUse }> {
  await using trainer = await openTrainer(task, options, [seed]);
  const { stateOf } = await runLogged(trainer, options, 1, signal);
  const written = await model.write(trainer.session, 0, seed, {
    validation: { accuracy: scored.validation, loss: scored.validationLoss },
    test: { accuracy: scored.test, loss: scored.testLoss },
    trainerState: stateOf(0),
  });
  return { model: written, cache: trainer.totals.cache };
}

const scoredOf = (done: ReadonlyMap<number, StoredSeed>): Scored[] =>
  [...done.values()].filter((result): result is Scored => !("diverged" in result));

type OnValidation = Pick<Scored, "validation" | "validationLoss">;
const isBetter = (a: OnValidation, b: OnValidation) =>
  a.validation !== b.validation ? a.validation > b.validation : a.validationLoss < b.validationLoss;

const seedResult = ({ seed, validation, test, correct, cost }: Scored): SeedResult => ({
  ...{ seed, validation, test, cost },
  correct: Array.from(correct, (bit) => bit === "1"),
});
