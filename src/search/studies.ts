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
import { manifestIn, type Start, Study, type StudyOptions } from "../study/study.js";
import type { Task } from "../train/task.js";
import { trainingFlops } from "./choice.js";
import { type Manifest, manifestOf, mayChange, type PlannedConfig, plannedConfig } from "./manifest.js";
import { encodeRates, encodeUniform, layerSpace, uniformSpace } from "./space.js";
import { ledgerIsBegun, testReadTimes } from "./test-reads.js";
import { HEAD_RATE, warmStarts } from "./warm-starts.js";

export class Studies implements Disposable {
  constructor(
    readonly layers: Study,
    /** Null when no baseline was asked for. */
    readonly uniform: Study | null,
    readonly config: PlannedConfig,
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
  given: SearchConfig,
  notify: (message: string) => void,
): Promise<Studies> {
  const { studyName, resume } = given;
  const { groups } = task;
  const baselineName = `${studyName}-uniform`;
  const names = given.baseline ? [studyName, baselineName] : [studyName];
  for (const name of names) {
    checkStudyName(name);
    if (!resume && (await store.findStudy(name))) throw studyExists(store.url, name);
  }
  const storedManifest = async (name: string) => manifestIn(resume ? await store.findStudy(name) : null);
  const before = await storedManifest(studyName);
  const config = plannedConfig(given, before);
  const manifest = manifestOf(task, config);
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
  const isOver = resume && (await ledgerIsBegun(store, studyName));
  if (isOver && !given.force) await checkSizes(store, studyName, before, manifest);
  const shared = {
    ...{ store, direction: "maximize" as const, manifest, metricName: "validation accuracy" },
    mayChange: (stored: Manifest) => (isOver ? [] : mayChange(stored, config)),
  };
  const options = (name: string) => ({
    ...{ ...shared, studyName: name, seed: config.seed },
    sampler: SAMPLERS[config.sampler](task),
    pruner: PRUNERS[config.pruner](),
    userAttrs: { [STARTED]: new Date().toISOString() },
  });

  // The randomised arm keeps its share of a small budget.
  const starts = layerStarts(groups, config).slice(0, config.nTrials - config.nRandomTrials);
  const { nRandomTrials } = config;
  const layers = await open(
    { ...options(studyName), space: layerSpace(groups, config), nRandomTrials },
    starts,
  );
  for (const key of ["n_trials", "n_seeds"])
    if (before[key] !== undefined && before[key] !== manifest[key])
      notify(`${studyName}: ${key} was ${before[key]}, is ${manifest[key]} from now on`);
  if (!config.baseline) return new Studies(layers, null, config, manifest);
  try {
    // Nothing is inferred from the baseline's draws: there the starts go first.
    const plain = uniformStarts(config).slice(0, config.nTrials);
    const drawn = (await storedManifest(baselineName)).n_random_trials as number | undefined;
    const random = Math.min(drawn ?? nRandomTrials, config.nTrials - plain.length);
    const own = { ...manifest, n_random_trials: drawn ?? random };
    const uniform = await open(
      { ...options(baselineName), manifest: own, space: uniformSpace(config), nRandomTrials: random },
      plain,
    );
    return new Studies(layers, uniform, config, manifest);
  } catch (error) {
    layers[Symbol.dispose]();
    throw error;
  }
}

/** @throws StoreError ERR_STORE_TEST_READ when a search that has read test is asked for another size and nothing else. */
async function checkSizes(store: Store, name: string, before: Manifest, now: Manifest): Promise<void> {
  const changed = Object.keys(now).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
  if (changed.length === 0 || changed.some((key) => !["n_trials", "n_seeds"].includes(key))) return;
  const times = (await testReadTimes(store, name)).join(", ");
  throw new StoreError(
    "ERR_STORE_TEST_READ",
    `The search is over: its test rows were read at ${times}`,
    changed.map((key) => ({
      path: `study ${JSON.stringify(name)}: ${key}`,
      expected: String(before[key]),
      received: String(now[key]),
      hint: "what is chosen after a look at test is chosen by test; --force takes another look, and the report says so",
    })),
  );
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
