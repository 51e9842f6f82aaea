/** The two studies of a search: per-layer rates, and the uniform baseline beside it. */
import { accuracyStandardError } from "../analysis/index.js";
import type { SearchConfig } from "../config/schema.js";
import { MedianPruner } from "../study/pruners/median.js";
import { NonePruner } from "../study/pruners/none.js";
import { RandomSampler } from "../study/samplers/random.js";
import { TpeSampler } from "../study/samplers/tpe.js";
import type { Store } from "../study/store.js";
import { checkStudyName, studyExists } from "../study/stores/errors.js";
import { type Start, Study, type StudyOptions } from "../study/study.js";
import type { Task } from "../train/task.js";
import { trainingFlops } from "./choice.js";
import { type Manifest, randomTrials } from "./manifest.js";
import { encodeRates, layerSpace, uniformSpace } from "./space.js";
import { warmStarts } from "./warm-starts.js";

export interface Studies {
  readonly layers: Study;
  /** Null when no baseline was asked for. */
  readonly uniform: Study | null;
}

export const STARTED = "permafrost:started_at";

/**
 * Creates or opens both, so that a name that is taken is found before anything is trained.
 *
 * @throws StoreError as Study.create and Study.resume.
 */
export async function openStudies(
  store: Store,
  task: Task,
  config: SearchConfig,
  manifest: Manifest,
  notify: (message: string) => void,
): Promise<Studies> {
  const { studyName, nTrials, resume } = config;
  const { groups } = task;
  const names = config.baseline ? [studyName, `${studyName}-uniform`] : [studyName];
  for (const name of names) {
    checkStudyName(name);
    if (!resume && (await store.findStudy(name))) throw studyExists(store.url, name);
  }
  const empty = (await store.studyNames()).length === 0;
  if (resume && empty) notify(`nothing to resume in ${store.url}: the search begins`);
  const open = async (options: StudyOptions, starts: readonly Start[]) => {
    // A search that was killed at its very beginning has none of the two, or the first alone.
    const going =
      resume && ((await store.findStudy(options.studyName)) || (options.studyName === studyName && !empty));
    const study = going ? await Study.resume(options, config.force) : await Study.create(options);
    await study.queueFirst(starts);
    return study;
  };
  const shared = { store, direction: "maximize" as const, manifest, metricName: "validation accuracy" };
  const options = (name: string) => ({
    ...{ ...shared, studyName: name, seed: config.seed },
    sampler: config.sampler === "tpe" ? tpe(task) : new RandomSampler(),
    pruner:
      config.pruner === "median"
        ? new MedianPruner({ nStartupTrials: 5, nWarmupSteps: 1 })
        : new NonePruner(),
    userAttrs: { [STARTED]: new Date().toISOString() },
  });

  const nRandomTrials = randomTrials(config);
  // The randomised arm keeps its share of a small budget.
  const starts = layerStarts(groups, config).slice(0, nTrials - nRandomTrials);
  const layers = await open(
    { ...options(names[0]!), space: layerSpace(groups, config), nRandomTrials },
    starts,
  );
  if (!config.baseline) return { layers, uniform: null };
  // Nothing is inferred from the baseline's draws: there the starts go first.
  const plain = UNIFORM_STARTS.slice(0, nTrials);
  const uniform = await open(
    {
      ...options(names[1]!),
      space: uniformSpace(config),
      nRandomTrials: Math.min(nRandomTrials, nTrials - plain.length),
    },
    plain,
  );
  return { layers, uniform };
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

const UNIFORM_STARTS = [5e-5, 2e-5].map(
  (rate): Start => ({
    params: { learning_rate: rate, "lr.head": 1e-3 },
    userAttrs: { warm_start: `uniform ${rate}` },
  }),
);
