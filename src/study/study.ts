/**
 * A study: a search over a space, remembered in a store. Trials come in three arms, in this order: warm starts that were
 * queued, the randomised arm (independent draws, never pruned: it carries all inference), then the sampler's proposals.
 * Which arm a trial belongs to is a function of the trials before it, so a study that was killed goes on as it would have.
 */
import { StoreError } from "../errors.js";
import type { Pruner } from "./pruner.js";
import { Rng } from "./rng.js";
import type { Sampler } from "./sampler.js";
import { RandomSampler } from "./samplers/random.js";
import { checkSpaceAgainst, distributionsOf, validateSpace } from "./space.js";
import type { Attrs, Store, StoredStudy } from "./store.js";
import { studyExists, studyMissing } from "./stores/errors.js";
import { Trial } from "./trial.js";
import type { Arm, Direction, Params, Space, TrialRecord } from "./types.js";

export interface StudyOptions {
  readonly store: Store;
  readonly studyName: string;
  readonly direction: Direction;
  readonly space: Space;
  readonly sampler: Sampler;
  readonly pruner: Pruner;
  readonly seed: number;
  /** Trials of the randomised arm. */
  readonly nRandomTrials: number;
  /** What must be the same when the study is resumed: hashes of model and data, options. Stored as user attributes. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** What the objective is called in Optuna's dashboard. */
  readonly metricName: string;
}

const INTERRUPTED = "permafrost:interrupted";
const MANIFEST = "permafrost:manifest";

export class Study {
  readonly #random = new RandomSampler();

  private constructor(
    private readonly options: StudyOptions,
    private stored: StoredStudy,
  ) {}

  /** @throws StoreError ERR_STORE_STUDY_EXISTS, ConfigError ERR_SPACE. */
  static async create(options: StudyOptions): Promise<Study> {
    validateSpace(options.space);
    const { store, studyName, direction, manifest, metricName } = options;
    if (await store.findStudy(studyName)) throw studyExists(store.url, studyName);
    const stored = await store.createStudy({
      studyName,
      directions: [direction],
      userAttrs: { [MANIFEST]: manifest },
      systemAttrs: { "study:metric_names": [metricName] },
    });
    return new Study(options, stored);
  }

  /**
   * Opens a study to go on with it. Trials that were running when their process died become FAIL, and their parameters
   * are queued once more.
   *
   * @param force take it although the manifest differs.
   * @throws StoreError ERR_STORE_STUDY_MISSING; ERR_STORE_MANIFEST naming what differs.
   */
  static async resume(options: StudyOptions, force: boolean): Promise<Study> {
    const { store, studyName, manifest, space } = options;
    const stored = await store.findStudy(studyName);
    if (!stored) throw studyMissing(store.url, studyName, await store.studyNames());
    const before = (stored.userAttrs[MANIFEST] ?? {}) as Record<string, unknown>;
    const changed = Object.entries(manifest).filter(
      ([key, value]) => JSON.stringify(before[key]) !== JSON.stringify(value),
    );
    if (changed.length > 0 && !force) {
      throw new StoreError(
        "ERR_STORE_MANIFEST",
        "The study was made with other options or files",
        changed.map(([key, value]) => ({
          path: `${store.url}: ${key}`,
          expected: JSON.stringify(before[key]) ?? "nothing",
          received: JSON.stringify(value) ?? "nothing",
          hint: "use what it was made with, another study name, or --force",
        })),
      );
    }
    const study = new Study(options, stored);
    const trials = await study.trials();
    checkSpaceAgainst(space, trials);
    for (const trial of trials) if (trial.state === "RUNNING") await study.#requeue(trial);
    return study;
  }

  get name(): string {
    return this.stored.studyName;
  }

  trials(): Promise<readonly TrialRecord[]> {
    return this.options.store.trials(this.stored.studyId);
  }

  /** Trials that count: those that were interrupted and queued again do not. */
  async planned(): Promise<TrialRecord[]> {
    return (await this.trials()).filter((t) => t.systemAttrs[INTERRUPTED] !== true);
  }

  async userAttr(key: string): Promise<unknown> {
    return (await this.options.store.findStudy(this.name))?.userAttrs[key];
  }

  async setUserAttrs(attrs: Attrs): Promise<void> {
    await this.options.store.setStudyAttrs(this.stored.studyId, { user: attrs });
  }

  /** Queues a trial with these parameters; the rest, if any, is drawn when it is asked for. */
  async enqueueTrial(params: Params, userAttrs: Attrs = {}): Promise<void> {
    for (;;) {
      const { length } = await this.trials();
      const made = await this.options.store.createTrials(
        this.stored.studyId,
        [
          {
            state: "WAITING",
            userAttrs: { ...userAttrs, arm: "warm-start" },
            systemAttrs: { fixed_params: params },
          },
        ],
        length,
      );
      if (made) return;
    }
  }

  /** The next trial, running: the oldest that is queued, else one of the arm whose turn it is. */
  async ask(): Promise<Trial> {
    const { store, space, seed } = this.options;
    const { studyId } = this.stored;
    for (;;) {
      const history = await this.trials();
      const waiting = history.find((t) => t.state === "WAITING");
      const fixed = (waiting?.systemAttrs.fixed_params ?? {}) as Params;
      const arm = waiting ? armOf(waiting) : this.#nextArm(history);
      const number = waiting?.number ?? history.length;
      const sampler = arm === "optimized" ? this.options.sampler : this.#random;
      const others = history.filter((t) => t !== waiting);
      const params = sampler.propose(space, others, new Rng(seed, number, arm), {
        direction: this.options.direction,
        fixed,
      });
      const update = { params, distributions: distributionsOf(space, params), userAttrs: { arm } };
      if (waiting) {
        if (await store.claimTrial(waiting.trialId, update)) return this.#running(waiting, params, arm);
        continue;
      }
      const made = await store.createTrials(studyId, [{ state: "RUNNING", ...update }], history.length);
      if (made) return this.#running(made[0]!, params, arm);
    }
  }

  #running(record: TrialRecord, params: Params, arm: Arm): Trial {
    const { store, pruner, direction } = this.options;
    return new Trial(record, params, arm, { store, studyId: this.stored.studyId, pruner, direction });
  }

  #nextArm(history: readonly TrialRecord[]): Arm {
    const drawn = history.filter((t) => armOf(t) === "random" && t.systemAttrs[INTERRUPTED] !== true).length;
    return drawn < this.options.nRandomTrials ? "random" : "optimized";
  }

  /** As Optuna's retry of a lost trial: the attributes are its. */
  async #requeue(trial: TrialRecord): Promise<void> {
    const earlier = (trial.systemAttrs.retry_history ?? []) as number[];
    await this.options.store.interruptTrial(
      trial.trialId,
      { [INTERRUPTED]: true },
      {
        state: "WAITING",
        userAttrs: { arm: armOf(trial) },
        systemAttrs: {
          fixed_params: trial.params,
          failed_trial: (trial.systemAttrs.failed_trial as number | undefined) ?? trial.number,
          retry_history: [...earlier, trial.number],
        },
      },
    );
  }
}

/** The arm a stored trial belongs to; a trial somebody else made is nobody's random draw. */
export function armOf(trial: Pick<TrialRecord, "userAttrs">): Arm {
  const { arm } = trial.userAttrs;
  return arm === "random" || arm === "warm-start" ? arm : "optimized";
}
