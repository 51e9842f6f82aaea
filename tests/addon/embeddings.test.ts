/**
 * Embedding rows that a step does not touch: no gradient is made for them, and what AdamW does with a gradient of zero is made
 * up for when they are read. Against the dense update, computed here.
 */
import { expect, test } from "vitest";
import { cacheOff, chunk, constantRates, laneSpec, modelSpec, native } from "../golden/native.js";
import { config, data, everything, weights } from "./small.js";

const C = config.hidden_size;
const groups = everything.length;
const name = "embeddings.word_embeddings.weight";
const [rate, weightDecay] = [3e-3, 0.1];
const [first, later] = [
  [0, 1],
  [2, 3, 4],
]; // rows of the first step, and of the others

const tokensOf = (rows: readonly number[]) =>
  new Set(rows.flatMap((row) => [...data.ids.slice(data.offsets[row], data.offsets[row + 1])]));

test("rows never read only decay, to the bit; rows read once go on as with gradients of zero", async () => {
  const steps = [first, later, later, later];
  const model = await native.createModel(modelSpec(config), weights);
  try {
    const dataset = await native.addDataset(model, data);
    const lane = laneSpec(everything, { weightDecay });
    const session = await native.createSession(model, [lane], cacheOff);
    const [before] = await native.readTensors(session, 0, [name]);
    const gradient = (await native.gradients(session, 0, dataset, Int32Array.from(first))).gradients[name]!;
    await native.runSteps(
      session,
      chunk(dataset, steps, constantRates(steps.length, Array(groups).fill(rate))),
    );
    const [after] = await native.readTensors(session, 0, [name]);

    const [early, late] = [tokensOf(first), tokensOf(later)];
    const keep = Math.fround(1 - rate * weightDecay);
    const kinds = { never: 0, once: 0 };
    for (let token = 0; token < config.vocab_size; token++) {
      if (late.has(token)) continue;
      kinds[early.has(token) ? "once" : "never"]++;
      for (let at = token * C; at < (token + 1) * C; at++) {
        if (early.has(token)) {
          expect(after![at]).toBeCloseTo(dense(before![at]!, gradient[at]!, lane, steps.length), 6);
        } else {
          const decayed = steps.reduce((p) => Math.fround(p * keep), before![at]!);
          expect(after![at]).toBe(decayed);
        }
      }
    }
    expect(Math.min(kinds.never, kinds.once)).toBeGreaterThan(0);
  } finally {
    await native.dispose(model);
  }
});

/** AdamW (Loshchilov & Hutter 2019, as torch.optim.AdamW) with a gradient in the first step alone. */
function dense(
  p: number,
  gradient: number,
  { beta1, beta2, epsilon }: { beta1: number; beta2: number; epsilon: number },
  steps: number,
): number {
  let [weight, m, v] = [p, 0, 0];
  for (let t = 1; t <= steps; t++) {
    const g = t === 1 ? gradient : 0;
    weight *= 1 - rate * weightDecay;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    weight -= (rate * (m / (1 - beta1 ** t))) / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon);
  }
  return weight;
}
