/**
 * The last step: a configuration retrained with several seeds (new classifier, order of rows and dropout each), every seed
 * scored on test once. Everything was decided before; what a seed gave is stored, so a resumed search repeats none.
 */
import type { SeedResult } from "../analysis/types.js";
import type { SearchEvent } from "../events.js";
import type { NativeSession } from "../native/session.js";
import type { Study } from "../study/study.js";
import type { LayerRates } from "../train/layer-rates.js";
import type { Scores } from "../train/metrics.js";
import type { Task } from "../train/task.js";
import { Trainer, type TrainerOptions } from "../train/trainer.js";

export interface FinalistOptions extends TrainerOptions {
  /** "per-layer", "uniform". */
  readonly arm: string;
  readonly rates: LayerRates;
  readonly seeds: readonly number[];
  readonly lanes: number;
}

/** Called with the weights of a seed still in the core, when it is the best on validation so far. */
export type KeepBest = (
  session: NativeSession,
  lane: number,
  seed: number,
  scores: { validation: Scores; test: Scores },
) => Promise<void>;

/** What is stored of a seed: `correct` as a string of 0 and 1. */
interface StoredSeed extends Omit<SeedResult, "correct"> {
  readonly correct: string;
  readonly validationLoss: number;
}

const keyOf = (arm: string, seed: number) => `permafrost:seed:${arm}:${seed}`;

export async function retrain(
  study: Study,
  task: Task,
  options: FinalistOptions,
  keepBest: KeepBest | null,
  emit: (event: SearchEvent) => void,
  signal: AbortSignal,
): Promise<SeedResult[]> {
  const { arm, seeds } = options;
  const done = new Map<number, StoredSeed>();
  for (const seed of seeds) {
    const stored = (await study.userAttr(keyOf(arm, seed))) as StoredSeed | undefined;
    if (stored) done.set(seed, stored);
  }
  const todo = seeds.filter((seed) => !done.has(seed));
  for (let at = 0; at < todo.length; at += options.lanes) {
    const group = todo.slice(at, at + options.lanes);
    const lanes = group.map((seed) => ({ rates: options.rates, seed, initial: task.initialFor(seed) }));
    await using trainer = await Trainer.open(task, options, lanes);
    const outcomes = await trainer.run({}, signal);
    for (const [lane, seed] of group.entries()) {
      const outcome = outcomes[lane]!;
      const validation = await trainer.score(lane, task.splits.validation, signal);
      const test = await trainer.score(lane, task.splits.test!, signal);
      const result: StoredSeed = {
        seed,
        validation: validation.accuracy,
        validationLoss: validation.loss,
        test: test.accuracy,
        correct: test.correct.map((right) => (right ? "1" : "0")).join(""),
        cost: {
          seconds: outcome.seconds,
          flops: outcome.flops,
          trainedParameters: outcome.trainedParameters,
        },
      };
      if (keepBest && [...done.values()].every((other) => isBetter(result, other)))
        await keepBest(trainer.session, lane, seed, { validation, test });
      await study.setUserAttrs({ [keyOf(arm, seed)]: result });
      done.set(seed, result);
      emit({
        type: "seedEnd",
        arm,
        seed,
        validation: result.validation,
        seconds: outcome.seconds,
        finished: done.size,
        total: seeds.length,
      });
    }
  }
  return seeds.map((seed) => {
    const { correct, validationLoss: _, ...rest } = done.get(seed)!;
    return { ...rest, correct: Array.from(correct, (bit) => bit === "1") };
  });
}

const isBetter = (a: StoredSeed, b: StoredSeed) =>
  a.validation !== b.validation ? a.validation > b.validation : a.validationLoss < b.validationLoss;
