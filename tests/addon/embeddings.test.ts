/**
 * Embedding rows that a step does not touch: no gradient is made for them, and what AdamW does with a gradient of zero is made
 * up for when they are read. Against the dense update, computed here.
 */
import { expect, test } from "vitest";
import { bits, cacheOff, chunk, constantRates, laneSpec, modelSpec, native } from "../golden/native.js";
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

test("made up for when a row is read or after every step: the same bits in all three tables", async () => {
  const steps = [[0], [1, 2], [0, 3], [4], [4], [1], [5, 0]];
  const tables = ["word", "position", "token_type"].map((table) => `embeddings.${table}_embeddings.weight`);
  // The rate changes with the step and is zero in one: what a row owes is of the steps that it missed.
  const rates = steps.map((_, s) => Array(groups).fill(s === 3 ? 0 : rate * (1 + s)) as number[]);

  async function run(settle: boolean) {
    const model = await native.createModel(modelSpec(config), weights);
    try {
      const dataset = await native.addDataset(model, data);
      const session = await native.createSession(model, [laneSpec(everything, { weightDecay })], cacheOff);
      const losses: string[] = [];
      for (const [s, rows] of steps.entries()) {
        const { loss, gradNorm } = await native.runSteps(session, chunk(dataset, [rows], [rates[s]!]));
        losses.push(bits(loss), bits(gradNorm));
        if (settle) await native.readTensors(session, 0, tables);
      }
      return { losses, tables: (await native.readTensors(session, 0, tables)).map((table) => bits(table)) };
    } finally {
      await native.dispose(model);
    }
  }
  expect(await run(false)).toEqual(await run(true));
});

test("the padding token in a text: no gradient, and every decay it owes before it is read", async () => {
  const pad = config.pad_token_id ?? 0;
  // Rows 0 to 2 are without it, row 3 is row 2 with it in the middle.
  const [begin, end] = [data.offsets[2]!, data.offsets[3]!];
  const held = data.ids.slice(begin, end);
  held[held.length >> 1] = pad;
  const rows = (array: Int32Array) => [...array.slice(0, end)];
  const dataset = {
    ids: Int32Array.from([...rows(data.ids), ...held]),
    types: Int32Array.from([...rows(data.types), ...data.types.slice(begin, end)]),
    offsets: Int32Array.from([...data.offsets.slice(0, 4), end + held.length]),
    labels: Int32Array.from([...data.labels.slice(0, 3), data.labels[2]!]),
  };
  expect(rows(data.ids)).not.toContain(pad);
  const steps = (order: readonly (readonly number[])[]) =>
    chunk(0, order, constantRates(order.length, Array(groups).fill(rate)));

  /** @param settle reads all weights before each use of the row, which makes every update up. */
  async function run(settle: boolean) {
    const model = await native.createModel(modelSpec(config), weights);
    try {
      await native.addDataset(model, dataset);
      const session = await native.createSession(model, [laneSpec(everything, { weightDecay })], cacheOff);
      const read = async () => (await native.readTensors(session, 0, [name]))[0]!;
      await native.runSteps(session, steps([[0], [1], [2]]));
      if (settle) await read();
      const { logits } = await native.evaluate(session, { lane: 0, dataset: 0, rows: Int32Array.of(3) });
      await native.runSteps(session, steps([[0], [1]]));
      if (settle) await read();
      const { loss } = await native.runSteps(session, steps([[3]]));
      const table = await read();
      return { logits: [...logits], loss: [...loss], row: [...table.subarray(pad * C, (pad + 1) * C)] };
    } finally {
      await native.dispose(model);
    }
  }
  const found = await run(false);
  expect(found).toEqual(await run(true));
  const keep = Math.fround(1 - rate * weightDecay);
  const before = [...weights[name]!.subarray(pad * C, (pad + 1) * C)];
  expect(found.row).toEqual(
    before.map((weight) => Array.from({ length: 6 }).reduce<number>((p) => Math.fround(p * keep), weight)),
  );
});
