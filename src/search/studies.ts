/** The two studies of a search: per-layer rates, and the uniform baseline beside it. */
import { accuracyStandardError } from "../analysis/index.js";
import type { SearchConfig } from "../config/schema.js";
import { StoreError } from "../errors.js";
import type { Pruner } from "../study/pruner.js";
import { MedianPruner } from "../study/pruners/median.js";
import { NonePruner } from "../study/pruners/none.js";
import type { Sampler } from "../study/sampler.js";
import { RandomSampler } from "../study/samplers/random.js";
import { TpeSampler } from "../study/samplers/tpe.js";
import type { Store } from "../study/store.js";
import { checkStudyName, studyExists } from "../study/stores/errors.js";
import { MANIFEST, type Start, Study, type StudyOptions } from "../study/study.js";
import type { Task } from "../train/task.js";
import { trainingFlops } from "./choice.js";
import { type Manifest, manifestOf, mayChange, randomTrials } from "./manifest.js";
import { encodeRates, encodeUniform, layerSpace, uniformSpace } from "./space.js";
import { wasTestRead } from "./test-reads.js";
import { HEAD_RATE, warmStarts } from "./warm-starts.js";

export class Studies implements Disposable {
  constructor(
    readonly layers: Study,
    /** Null when no baseline was asked for. */
    readonly uniform: Study | null,
    readonly manifest: Manifest,
  ) {}

  [Symbol.dispose](): void {
    this.layers[Symbol.dispose]();
    this.uniform?.[Symbol.dispose]();
  }
}

export const STARTED = "permafrost:started_at";

const SAMPLERS: Readonly<Record<SearchConfig["sampler"], (task: Task) => Sampler>> = {
  tpe,
  random: () => new RandomSampler(),
};
const PRUNERS: Readonly<Record<SearchConfig["pruner"], () => Pruner>> = {
  median: () => new MedianPruner({ nStartupTrials: 5, nWarmupSteps: 1 }),
  none: () => new NonePruner(),
};

/**
 * Creates or opens both, so that a name that is taken is found before anything is trained.
 *
 * @throws StoreError as Study.create and Study.resume.
 */
export async function openStudies(
  store: Store,
  task: Task,
  config: SearchConfig,
  notify: (message: string) => void,
): Promise<Studies> {
  const { studyName, nTrials, resume } = config;
  const { groups } = task;
  const names = config.baseline ? [studyName, `${studyName}-uniform`] : [studyName];
  for (const name of names) {
    checkStudyName(name);
    if (!resume && (await store.findStudy(name))) throw studyExists(store.url, name);
  }
  const stored = resume ? await store.findStudy(studyName) : null;
  const before = (stored?.userAttrs[MANIFEST] ?? {}) as Manifest;
  const manifest = manifestOf(task, config, before);
  const empty = (await store.studyNames()).length === 0;
  if (resume && empty) notify(`nothing to resume in ${store.url}: the search begins`);
  const open = async (options: StudyOptions, starts: readonly Start[]) => {
    // A search that was killed at its very beginning has none of the two, or the first alone.
    const going =
      resume && ((await store.findStudy(options.studyName)) || (options.studyName === studyName && !empty));
    const resumed = () => Study.resume(options, config.force);
    const joined = (error: unknown) => {
      // Another process that goes on with this search made it meanwhile.
      const exists = error instanceof StoreError && error.code === "ERR_STORE_STUDY_EXISTS";
      if (exists && (resume || options.studyName !== studyName)) return resumed();
      throw error;
    };
    const study = going ? await resumed() : await Study.create(options).catch(joined);
    await study.queueFirst(starts);
    return study;
  };
  const shared = {
    ...{ store, direction: "maximize" as const, manifest, metricName: "validation accuracy" },
    mayChange: stored && !wasTestRead(stored.userAttrs) ? mayChange(before, config) : [],
  };
  const options = (name: string) => ({
    ...{ ...shared, studyName: name, seed: config.seed },
    sampler: SAMPLERS[config.sampler](task),
    pruner: PRUNERS[config.pruner](),
    userAttrs: { [STARTED]: new Date().toISOString() },
  });

  const nRandomTrials = randomTrials(config, before);
  // The randomised arm keeps its share of a small budget.
  const starts = layerStarts(groups, config).slice(0, nTrials - nRandomTrials);
  const layers = await open(
    { ...options(names[0]!), space: layerSpace(groups, config), nRandomTrials },
    starts,
  );
  if (shared.mayChange.includes("n_trials"))
    notify(`${studyName}: was planned with ${before.n_trials} trials, has ${nTrials} from now on`);
  if (!config.baseline) return new Studies(layers, null, manifest);
  // Nothing is inferred from the baseline's draws: there the starts go first.
  const plain = uniformStarts(config).slice(0, nTrials);
  const uniform = await open(
    {
      ...options(names[1]!),
      space: uniformSpace(config),
      nRandomTrials: Math.min(nRandomTrials, nTrials - plain.length),
    },
    plain,
  );
  return new Studies(layers, uniform, manifest);
}

/**
 * Accuracies within a standard error of the best are not told apart by the validation rows there are, so proposals follow the
 * cheaper trials: the one-standard-error rule (Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984,
 * 3.4.3). It leads the search alone: the trial that is chosen is the best one (`bestTrial`).
 */
function tpe({ splits }: Task): TpeSampler {
  const rows = splits.validation.encoded.labels.length;
  return new TpeSampler({
    costOf: trainingFlops,
    toleranceOf: (best) => accuracyStandardError(best, rows),
  });
}

const layerStarts = (groups: readonly string[], config: SearchConfig): Start[] =>
  warmStarts(groups).map(({ name, rates }) => ({
    params: encodeRates(groups, rates, config),
    userAttrs: { warm_start: name },
  }));

/** The usual two rates; one where the range takes both for the same. */
function uniformStarts(config: SearchConfig): Start[] {
  const params = [5e-5, 2e-5].map((rate) => encodeUniform(rate, HEAD_RATE, config));
  return params
    .filter(({ learning_rate }, i) => i === 0 || learning_rate !== params[0]!.learning_rate)
    .map((start) => ({ params: start, userAttrs: { warm_start: `uniform ${start.learning_rate}` } }));
}
