/**
 * A study: a search over a space, remembered in a store. Trials come in three arms, in this order: warm starts that were
 * queued, the randomised arm (a Latin hypercube sample, never pruned: it carries all inference), then the sampler's
 * proposals. Which arm a trial belongs to is a function of the trials before it, so a study that was killed goes on as it
 * would have. In a study that somebody else began, the randomised arm is drawn trial by trial, independently.
 */
import { StoreError } from "../errors.js";
import { beginWorker, endWorker, isAtWork, type Worker } from "../native/worker.js";
import { withinStandard } from "./json.js";
import type { Pruner } from "./pruner.js";
import { Rng } from "./rng.js";
import type { Sampler } from "./sampler.js";
import { latinHypercube } from "./samplers/latin-hypercube.js";
import { RandomSampler } from "./samplers/random.js";
import { checkSpaceAgainst, distributionsOf, unfitValue, validateSpace } from "./space.js";
import type { Attrs, Store, StoredStudy, TrialResult } from "./store.js";
import { studyExists, studyMissing } from "./stores/errors.js";
import { Trial } from "./trial.js";
import { inTurn, nextTurn, retryOf, turnsOf } from "./turns.js";
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
  /** Stored with a study that is created. */
  readonly userAttrs?: Attrs;
  /** Keys of the manifest `before` that a resume may change, to what holds from then. @default none */
  readonly mayChange?: (before: Attrs) => readonly string[];
}

/** A trial to queue: these parameters; the rest, if any, is drawn when it is asked for. */
export interface Start {
  readonly params: Params;
  readonly userAttrs?: Attrs;
}

/** A trial that waits. */
export interface QueuedTrial {
  readonly trialId: number;
  readonly arm: Arm;
  /** Those that are decided: all, unless somebody else queued it. */
  readonly params: Params;
}

/** A resume that was forced: when, and what of the manifest was no longer the same. */
export interface ForcedResume {
  readonly at: string;
  readonly changed: readonly string[];
}

const FORCED = "permafrost:forced";
const INTERRUPTED = "permafrost:interrupted";
const MANIFEST = "permafrost:manifest";
const WORKER = "permafrost:worker";
/** A trial that was lost with its process this often is likely the reason: it stays FAIL. */
const MOST_RETRIES = 5;

/** One that is no longer worked on is disposed: what it left running is then free to be run again. */
export class Study implements Disposable {
  readonly #random = new RandomSampler();
  readonly #worker = beginWorker();

  private constructor(
    private readonly options: StudyOptions,
    private stored: StoredStudy,
  ) {}

  /** @throws StoreError ERR_STORE_STUDY_EXISTS, ConfigError ERR_SPACE. */
  static async create(options: StudyOptions): Promise<Study> {
    validateSpace(options.space);
    const { store, studyName, direction, manifest, metricName, userAttrs } = options;
    if (await store.findStudy(studyName)) throw studyExists(store.url, studyName);
    const stored = await store.createStudy({
      studyName,
      directions: [direction],
      userAttrs: { ...userAttrs, [MANIFEST]: manifest },
      systemAttrs: { "study:metric_names": [metricName] },
    });
    return new Study(options, stored);
  }

  /**
   * Opens a study to go on with it. Trials of ours that were running when their process died become FAIL, and their
   * parameters are queued once more; those that somebody still runs, and those of Optuna's workers, are left alone.
   *
   * @param force take it although the manifest differs, which is written down (`forcedResumes`); the new one holds from then.
   * @throws StoreError ERR_STORE_STUDY_MISSING; ERR_STORE_DIRECTION; ERR_STORE_MANIFEST naming what differs. ConfigError
   *         ERR_SPACE_CHANGED.
   */
  static async resume(options: StudyOptions, force: boolean): Promise<Study> {
    validateSpace(options.space);
    const { store, studyName, direction, manifest, space } = options;
    const stored = await store.findStudy(studyName);
    if (!stored) throw studyMissing(store.url, studyName, await store.studyNames());
    if (stored.directions.join() !== direction) {
      throw new StoreError("ERR_STORE_DIRECTION", "The study has another objective", [
        { path: `${store.url}: direction`, expected: direction, received: stored.directions.join(", ") },
      ]);
    }
    const before = manifestIn(stored);
    const changed = Object.entries(manifest).filter(
      ([key, value]) => JSON.stringify(before[key]) !== JSON.stringify(value),
    );
    const free = options.mayChange?.(before) ?? [];
    const refused = changed.filter(([key]) => !free.includes(key));
    if (refused.length > 0 && !force) {
      throw new StoreError(
        "ERR_STORE_MANIFEST",
        "The study was made with other options or files",
        refused.map(([key, value]) => ({
          path: `${store.url}: ${key}`,
          expected: JSON.stringify(before[key]) ?? "nothing",
          received: JSON.stringify(value) ?? "nothing",
          hint: "use what it was made with, another study name, or --force",
        })),
      );
    }
    checkSpaceAgainst(space, await store.trials(stored.studyId));
    const study = new Study(options, stored);
    try {
      if (changed.length > 0) {
        const now = { at: new Date().toISOString(), changed: refused.map(([key]) => key) };
        await study.setUserAttrs({
          [MANIFEST]: { ...before, ...manifest },
          ...(refused.length > 0 ? { [FORCED]: [...(await study.forcedResumes()), now] } : {}),
        });
      }
      await study.runningElsewhere(); // for what it queues
      return study;
    } catch (error) {
      study[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    endWorker(this.#worker);
  }

  /** What must be the same when it is resumed, as it is stored now. */
  async manifest(): Promise<Attrs> {
    return manifestIn(await this.options.store.findStudy(this.name));
  }

  async forcedResumes(): Promise<readonly ForcedResume[]> {
    return ((await this.userAttr(FORCED)) ?? []) as ForcedResume[];
  }

  get name(): string {
    return this.stored.studyName;
  }

  trials(): Promise<readonly TrialRecord[]> {
    return this.options.store.trials(this.stored.studyId);
  }

  /** Trials that count, in the order they were planned: those that were interrupted and queued again do not. */
  async planned(): Promise<TrialRecord[]> {
    return planned(await this.trials());
  }

  async userAttr(key: string): Promise<unknown> {
    return (await this.options.store.findStudy(this.name))?.userAttrs[key];
  }

  async setUserAttrs(attrs: Attrs): Promise<void> {
    await this.options.store.setStudyAttrs(this.stored.studyId, { user: attrs });
  }

  /**
   * Queues what a new study can run without knowing results: the starts, then the whole randomised arm (`latinHypercube`).
   * In one step: a study that is killed meanwhile has all of them or none.
   *
   * @returns false, and nothing is queued, when the study has trials already.
   */
  async queueFirst(starts: readonly Start[]): Promise<boolean> {
    const { space, seed, nRandomTrials, store } = this.options;
    const draws = latinHypercube(space, nRandomTrials, seed).map(
      (params): Start => ({ params, userAttrs: { arm: "random" satisfies Arm } }),
    );
    const waiting = [...starts, ...draws].map(({ params, userAttrs }) => ({
      state: "WAITING" as const,
      userAttrs: { arm: "warm-start", ...userAttrs },
      systemAttrs: { fixed_params: params },
    }));
    return (await store.createTrials(this.stored.studyId, waiting, 0)) !== null;
  }

  /** How many trials of ours somebody else runs now. What was lost with its process is queued once more. */
  async runningElsewhere(): Promise<number> {
    let count = 0;
    for (const trial of await this.trials()) {
      const worker = trial.systemAttrs[WORKER] as Worker | undefined;
      if (trial.state !== "RUNNING" || !worker || worker.run === this.#worker.run) continue;
      if (isAtWork(worker, trial.datetimeStart ?? new Date(0))) count++;
      else await this.#requeue(trial, "lost");
    }
    return count;
  }

  /** Trials that wait, in the order of their turns. They may be asked for in any order. */
  async queued(): Promise<QueuedTrial[]> {
    const waiting = (await this.planned()).filter((t) => t.state === "WAITING");
    return waiting.map((t) => ({ trialId: t.trialId, arm: queuedArm(t), params: fixedParams(t) }));
  }

  /**
   * The next trial, running: the first that is queued, else one of the arm whose turn it is. A queued one whose values cannot be
   * (a rate of 0, an unknown choice) fails, with a `fail_reason`, and the next is taken.
   *
   * @param trialId one that is queued; another one comes when somebody else was first.
   * @param most null instead of a trial that would make the study larger than this: what somebody else runs counts too.
   */
  async ask(trialId?: number): Promise<Trial>;
  async ask(trialId: number | undefined, most: number): Promise<Trial | null>;
  async ask(trialId?: number, most = Number.POSITIVE_INFINITY): Promise<Trial | null> {
    const { store, space, seed, direction } = this.options;
    for (;;) {
      const trials = await this.trials();
      const history = planned(trials);
      const queue = history.filter((t) => t.state === "WAITING");
      const waiting = queue.find((t) => t.trialId === trialId) ?? queue[0];
      if (!waiting && history.filter(isOurs).length >= most) return null;
      const fixed = waiting ? fixedParams(waiting) : {};
      const unfit = waiting ? unfitValue(space, fixed) : null;
      if (waiting && unfit !== null) {
        await this.#fail(waiting, unfit);
        continue;
      }
      const arm = waiting ? queuedArm(waiting) : this.#nextArm(history);
      const turn = waiting ? turnsOf(trials).get(waiting.number)! : nextTurn(trials);
      const sampler = arm === "optimized" ? this.options.sampler : this.#random;
      const others = history.filter((t) => t !== waiting);
      const params = sampler.propose(space, others, new Rng(seed, turn, arm), { direction, fixed });
      const systemAttrs = { [WORKER]: this.#worker };
      const started = {
        params,
        distributions: distributionsOf(space, params),
        userAttrs: { arm },
        systemAttrs,
      };
      if (waiting) {
        if (await store.claimTrial(waiting.trialId, started)) return this.#running(waiting, params, arm);
        continue;
      }
      const trial = { state: "RUNNING" as const, ...started };
      const made = await store.createTrials(this.stored.studyId, [trial], trials.length);
      if (made) return this.#running(made[0]!, params, arm);
    }
  }

  /** Ends trials that ran together, in one step: after a crash all have ended, or all are repeated. */
  async finish(results: ReadonlyMap<Trial, TrialResult>): Promise<void> {
    const byId = [...results].map(([trial, result]) => [trial.trialId, result] as const);
    await this.options.store.finishTrials(new Map(byId));
  }

  /**
   * Puts running trials back into the queue.
   *
   * @param why given back: their process was asked to stop, which says nothing against them and may happen any number of
   *   times. lost: they failed, perhaps for what they are.
   */
  async release(trials: readonly Trial[], why: "given back" | "lost" = "given back"): Promise<void> {
    const ids = new Set(trials.map((t) => t.trialId));
    for (const record of await this.trials())
      if (ids.has(record.trialId) && record.state === "RUNNING") await this.#requeue(record, why);
  }

  #running(record: TrialRecord, params: Params, arm: Arm): Trial {
    const { store, pruner, direction } = this.options;
    return new Trial(record, params, arm, { store, studyId: this.stored.studyId, pruner, direction });
  }

  async #fail(waiting: TrialRecord, reason: string): Promise<void> {
    const { store } = this.options;
    if (!(await store.claimTrial(waiting.trialId))) return;
    const result = { state: "FAIL" as const, value: null, systemAttrs: { fail_reason: reason } };
    await store.finishTrials(new Map([[waiting.trialId, result]]));
  }

  #nextArm(history: readonly TrialRecord[]): Arm {
    const drawn = history.filter((t) => armOf(t) === "random").length;
    return drawn < this.options.nRandomTrials ? "random" : "optimized";
  }

  /** As Optuna's retry of a lost trial: the attributes are its. */
  async #requeue(trial: TrialRecord, why: "lost" | "given back"): Promise<void> {
    const { store } = this.options;
    const retry = retryOf(trial);
    const lost = [...(retry?.retry_history ?? []), ...(why === "lost" ? [trial.number] : [])];
    if (lost.length > MOST_RETRIES) {
      await store.interruptTrial(trial.trialId, { fail_reason: `interrupted ${lost.length} times` }, null);
      return;
    }
    const successor = {
      state: "WAITING" as const,
      userAttrs: withinStandard(trial.userAttrs) as Attrs,
      systemAttrs: {
        fixed_params: trial.params,
        failed_trial: retry?.failed_trial ?? trial.number,
        retry_history: lost,
      },
    };
    await store.interruptTrial(trial.trialId, { [INTERRUPTED]: true }, successor);
  }
}

/** A study's manifest; empty where it has none, or is none. */
export const manifestIn = (stored: StoredStudy | null) => (stored?.userAttrs[MANIFEST] ?? {}) as Attrs;

const planned = (trials: readonly TrialRecord[]) =>
  inTurn(trials).filter((t) => t.systemAttrs[INTERRUPTED] !== true);

/** Whether a planned trial counts as one of the budget: Optuna's workers count when they are through. */
const isOurs = (t: TrialRecord) => t.state !== "RUNNING" || t.systemAttrs[WORKER] !== undefined;

const fixedParams = (waiting: TrialRecord) => (waiting.systemAttrs.fixed_params ?? waiting.params) as Params;

/** What somebody else queued, with Optuna say, is a start they chose. */
const queuedArm = (waiting: TrialRecord): Arm =>
  waiting.userAttrs.arm === undefined ? "warm-start" : armOf(waiting);

/** The arm a stored trial belongs to; a trial somebody else made is nobody's random draw. */
export function armOf(trial: Pick<TrialRecord, "userAttrs">): Arm {
  const { arm } = trial.userAttrs;
  return arm === "random" || arm === "warm-start" ? arm : "optimized";
}
