import type { Attrs, NewStudy, NewTrial, Store, StoredStudy, TrialResult, TrialUpdate } from "../store.js";
import type { TrialRecord } from "../types.js";
import { checkStudyName, checkValue, storeClosed, studyExists, trialFinished, trialGone } from "./errors.js";

interface Held {
  study: StoredStudy;
  trials: TrialRecord[];
}

/** A study that lives as long as this object. For tests and for searches nobody wants to keep. */
export class MemoryStore implements Store {
  readonly url = "memory";
  readonly #studies: Held[] = [];
  #nextTrialId = 1;
  #open = true;

  async createStudy({ studyName, directions, userAttrs, systemAttrs }: NewStudy): Promise<StoredStudy> {
    this.#checkOpen();
    checkStudyName(studyName);
    if (this.#studies.some(({ study }) => study.studyName === studyName))
      throw studyExists(this.url, studyName);
    const study = Object.freeze({
      studyId: this.#studies.length + 1,
      studyName,
      directions: Object.freeze([...directions]),
      userAttrs: copied(userAttrs ?? {}),
      systemAttrs: copied(systemAttrs ?? {}),
    });
    this.#studies.push({ study, trials: [] });
    return study;
  }

  async findStudy(studyName: string): Promise<StoredStudy | null> {
    this.#checkOpen();
    return this.#studies.find(({ study }) => study.studyName === studyName)?.study ?? null;
  }

  async studyNames(): Promise<string[]> {
    this.#checkOpen();
    return this.#studies.map(({ study }) => study.studyName);
  }

  async setStudyAttrs(
    studyId: number,
    { user, system }: { readonly user?: Attrs; readonly system?: Attrs },
  ): Promise<void> {
    const held = this.#held(studyId);
    held.study = Object.freeze({
      ...held.study,
      userAttrs: copied({ ...held.study.userAttrs, ...user }),
      systemAttrs: copied({ ...held.study.systemAttrs, ...system }),
    });
  }

  async trials(studyId: number): Promise<readonly TrialRecord[]> {
    return [...this.#held(studyId).trials];
  }

  async createTrials(
    studyId: number,
    trials: readonly NewTrial[],
    expectedCount: number,
  ): Promise<TrialRecord[] | null> {
    const held = this.#held(studyId);
    if (held.trials.length !== expectedCount) return null;
    return this.#append(held, trials);
  }

  async claimTrial(trialId: number, update: TrialUpdate = {}): Promise<boolean> {
    const [held, trial] = this.#find(trialId);
    if (trial.state !== "WAITING") return false;
    const running = { ...trial, state: "RUNNING" as const, datetimeStart: new Date() };
    held.trials[trial.number] = updated(running, update);
    return true;
  }

  async updateTrial(trialId: number, update: TrialUpdate): Promise<void> {
    const [held, trial] = this.#findRunning(trialId);
    held.trials[trial.number] = updated(trial, update);
  }

  async finishTrials(results: ReadonlyMap<number, TrialResult>): Promise<void> {
    const finished = [...results].map(([trialId, result]) => this.#finished(trialId, result));
    for (const [held, trial] of finished) held.trials[trial.number] = trial;
  }

  async interruptTrial(trialId: number, systemAttrs: Attrs, successor: NewTrial | null): Promise<boolean> {
    if (this.#find(trialId)[1].state !== "RUNNING") return false;
    const [held, failed] = this.#finished(trialId, { state: "FAIL", value: null, systemAttrs });
    if (successor) this.#append(held, [successor]);
    held.trials[failed.number] = failed;
    return true;
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** All or none: one that cannot be copied throws before any is held. */
  #append(held: Held, trials: readonly NewTrial[]): TrialRecord[] {
    const records = trials.map((trial, i) =>
      updated(
        {
          number: held.trials.length + i,
          trialId: this.#nextTrialId + i,
          state: trial.state,
          value: null,
          params: {},
          distributions: {},
          intermediateValues: new Map(),
          userAttrs: {},
          systemAttrs: {},
          datetimeStart: trial.state === "RUNNING" ? new Date() : null,
          datetimeComplete: null,
        },
        trial,
      ),
    );
    held.trials.push(...records);
    this.#nextTrialId += records.length;
    return records;
  }

  #finished(trialId: number, { state, value, ...update }: TrialResult): [Held, TrialRecord] {
    const [held, trial] = this.#findRunning(trialId);
    checkValue(trialId, value);
    return [held, updated({ ...trial, state, value, datetimeComplete: new Date() }, update)];
  }

  #checkOpen(): void {
    if (!this.#open) throw storeClosed(this.url);
  }

  #held(studyId: number): Held {
    this.#checkOpen();
    return this.#studies[studyId - 1] as Held;
  }

  #find(trialId: number): [Held, TrialRecord] {
    this.#checkOpen();
    for (const held of this.#studies) {
      const trial = held.trials.find((record) => record.trialId === trialId);
      if (trial) return [held, trial];
    }
    throw trialGone(this.url, trialId);
  }

  #findRunning(trialId: number): [Held, TrialRecord] {
    const [held, trial] = this.#find(trialId);
    if (trial.state !== "RUNNING") throw trialFinished(trialId, trial.state);
    return [held, trial];
  }
}

/** A deep copy, so that the caller's later changes stay the caller's. */
const copied = (attrs: Attrs): Attrs => Object.freeze(structuredClone({ ...attrs }));

function updated(trial: TrialRecord, update: TrialUpdate): TrialRecord {
  const steps = [...(update.intermediateValues ?? []), ...trial.intermediateValues]; // the first report wins
  return Object.freeze({
    ...trial,
    params: Object.freeze({ ...trial.params, ...update.params }),
    distributions: Object.freeze({ ...trial.distributions, ...update.distributions }),
    intermediateValues: new Map([...new Map(steps)].sort(([a], [b]) => a - b)),
    userAttrs: copied({ ...trial.userAttrs, ...update.userAttrs }),
    systemAttrs: copied({ ...trial.systemAttrs, ...update.systemAttrs }),
  });
}
