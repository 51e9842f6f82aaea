import { StoreError } from "../../errors.js";

export const trialFinished = (trialId: number, state: string) =>
  new StoreError("ERR_STORE_TRIAL_FINISHED", "A trial cannot change once it is finished", [
    { path: `trial_id ${trialId}`, expected: "RUNNING", received: state },
  ]);

export const trialGone = (url: string, trialId: number) =>
  new StoreError("ERR_STORE_TRIAL_GONE", "A trial is no longer in the study", [
    {
      path: url,
      expected: `trial_id ${trialId}`,
      received: "no such trial",
      hint: "was the study deleted while it ran?",
    },
  ]);

export const studyExists = (url: string, studyName: string) =>
  new StoreError("ERR_STORE_STUDY_EXISTS", "A study of this name exists already", [
    {
      path: url,
      expected: "a new study name",
      received: JSON.stringify(studyName),
      hint: "resume it, or choose another name",
    },
  ]);

export const studyMissing = (url: string, studyName: string, names: readonly string[]) =>
  new StoreError("ERR_STORE_STUDY_MISSING", "There is no study of this name", [
    {
      path: url,
      expected:
        names.length > 0 ? `one of ${names.map((n) => JSON.stringify(n)).join(", ")}` : "at least one study",
      received: JSON.stringify(studyName),
    },
  ]);

export const storeClosed = (url: string) =>
  new StoreError("ERR_STORE_CLOSED", `The study storage ${url} was closed`);

/** Optuna's limit, and what SQLite's text cannot hold. @throws StoreError. */
export function checkStudyName(studyName: string): void {
  const wellFormed = !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\0/.test(
    studyName,
  );
  if (studyName.length > 0 && studyName.length <= 512 && wellFormed) return;
  throw new StoreError("ERR_STORE_NAME", "This cannot be a study's name", [
    {
      path: "study_name",
      expected: "1 to 512 characters of well-formed text without NUL",
      received:
        studyName.length > 512
          ? `${studyName.length} characters`
          : studyName === ""
            ? "nothing"
            : JSON.stringify(studyName),
    },
  ]);
}

/** A name inside a trial: SQLite's text ends at a NUL, Optuna's columns hold 512 characters. @throws StoreError. */
export function checkKey(key: string): void {
  if (key.length > 0 && key.length <= 512 && !key.includes("\0")) return;
  throw new StoreError("ERR_STORE_NAME", "This cannot be the name of a parameter or attribute", [
    {
      path: JSON.stringify(key.slice(0, 40)),
      expected: "1 to 512 characters without NUL",
      received: `${key.length} characters${key.includes("\0") ? " with NUL" : ""}`,
    },
  ]);
}

/** An objective is a number or absent. NaN has no form in Optuna's schema. @throws StoreError. */
export function checkValue(trialId: number, value: number | null): void {
  if (!Number.isNaN(value)) return;
  throw new StoreError("ERR_STORE_VALUE", "A trial's value cannot be NaN", [
    {
      path: `trial_id ${trialId}`,
      expected: "a number or null",
      received: "NaN",
      hint: "such a trial is FAIL",
    },
  ]);
}
