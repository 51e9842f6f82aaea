/** Class names of a trained classifier: id2label, label2id and num_labels of config.json, which must agree. */
import type { Issue } from "../errors.js";
import { configError, show } from "./config.js";

type Raw = Readonly<Record<string, unknown>>;

/**
 * @param classes rows of `classifier.weight`.
 * @returns names in index order. Without id2label Hugging Face means two classes, LABEL_0 and LABEL_1.
 * @throws ModelError ERR_CONFIG naming every field that disagrees.
 */
export function labelNames(raw: Raw, classes: number, file: string): string[] {
  const issues: Issue[] = [];
  const names = raw.id2label == null ? ["LABEL_0", "LABEL_1"] : readId2label(raw.id2label, issues);
  if (issues.length === 0 && names.length !== classes) {
    issues.push({
      path: raw.id2label == null ? "id2label (absent: 2 classes)" : "id2label",
      expected: `${classes} classes, the rows of classifier.weight`,
      received: String(names.length),
    });
  }
  if (typeof raw.num_labels === "number" && raw.num_labels !== classes) {
    issues.push({ path: "num_labels", expected: String(classes), received: show(raw.num_labels) });
  }
  checkLabel2id(raw.label2id, names, issues);
  checkProblemType(raw.problem_type, issues);
  if (issues.length > 0) throw configError(file, issues);
  return names;
}

function readId2label(value: unknown, issues: Issue[]): string[] {
  if (typeof value !== "object" || Array.isArray(value)) {
    issues.push({ path: "id2label", expected: 'an object {"0": name, …}', received: show(value) });
    return [];
  }
  const entries = Object.entries(value as object);
  const names: string[] = [];
  for (let i = 0; i < entries.length; i++) {
    const name = Object.hasOwn(value as object, String(i)) ? (value as Raw)[String(i)] : undefined;
    if (typeof name === "string") names.push(name);
    else {
      const expected = `a name for each class, 0 to ${entries.length - 1}`;
      const received = name === undefined ? `keys ${show(entries.map(([key]) => key))}` : show(name);
      issues.push({ path: `id2label.${i}`, expected, received });
      return names;
    }
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    issues.push({ path: "id2label", expected: "each name once", received: `"${twice}" twice` });
  }
  return names;
}

function checkLabel2id(value: unknown, names: readonly string[], issues: Issue[]): void {
  if (value == null || issues.length > 0) return;
  if (typeof value !== "object" || Array.isArray(value)) {
    issues.push({ path: "label2id", expected: "an object {name: 0, …}", received: show(value) });
    return;
  }
  const wrong = names.findIndex((name, i) => Number((value as Raw)[name]) !== i);
  if (wrong < 0 && Object.keys(value).length === names.length) return;
  issues.push({
    path: wrong < 0 ? "label2id" : `label2id.${names[wrong]}`,
    expected: wrong < 0 ? `${names.length} names, as in id2label` : `${wrong}, as in id2label`,
    received: wrong < 0 ? String(Object.keys(value).length) : show((value as Raw)[names[wrong]!]),
  });
}

function checkProblemType(value: unknown, issues: Issue[]): void {
  if (value == null || value === "single_label_classification") return;
  const hint = "regression and multi-label classifiers are not supported yet";
  issues.push({
    path: "problem_type",
    expected: '"single_label_classification"',
    received: show(value),
    hint,
  });
}
