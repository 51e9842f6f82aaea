/** Scores of an evaluation: what a classifier's logits say against the labels. */
export interface Scores {
  /** Share of rows whose largest logit is the label's, in [0, 1]. */
  readonly accuracy: number;
  /** Mean cross entropy in nats. */
  readonly loss: number;
}

/** Index of the largest logit of each row, the first on a tie. `logits` has shape (rows, classes). */
export function argmaxRows(logits: Float32Array, classes: number): Int32Array {
  const out = new Int32Array(logits.length / classes);
  for (let row = 0; row < out.length; row++) {
    let best = 0;
    for (let c = 1; c < classes; c++) {
      if (logits[row * classes + c]! > logits[row * classes + best]!) best = c;
    }
    out[row] = best;
  }
  return out;
}

/** Per row: is the prediction the label? */
export function correctRows(logits: Float32Array, labels: Int32Array, classes: number): boolean[] {
  return Array.from(argmaxRows(logits, classes), (predicted, row) => predicted === labels[row]);
}

/** @param loss cross entropy per row, shape (rows). */
export function scores(
  logits: Float32Array,
  loss: Float32Array,
  labels: Int32Array,
  classes: number,
): Scores {
  const right = correctRows(logits, labels, classes).filter(Boolean).length;
  let sum = 0;
  for (const value of loss) sum += value;
  return { accuracy: right / labels.length, loss: sum / loss.length };
}

/** The largest class of `train`, the first on a tie, and how often it is right on `test`: what one scores without reading a text. */
export function majority(
  train: Int32Array,
  test: Int32Array,
  classes: number,
): { readonly label: number; readonly accuracy: number } {
  const counts = new Int32Array(classes);
  for (const label of train) counts[label]! += 1;
  const label = counts.indexOf(counts.reduce((a, b) => Math.max(a, b), 0));
  return { label, accuracy: test.filter((other) => other === label).length / test.length };
}

/** Probabilities of one row's logits. */
export function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (x) => Math.exp(x - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / total);
}

/** Is `a` better than `b`, by more than `threshold` of the metric? accuracy: higher; without a threshold, ties by lower loss. */
export function better(a: Scores, b: Scores, metric: "accuracy" | "eval_loss", threshold = 0): boolean {
  if (metric === "eval_loss") return a.loss < b.loss - threshold;
  if (threshold > 0 || a.accuracy !== b.accuracy) return a.accuracy > b.accuracy + threshold;
  return a.loss < b.loss;
}
