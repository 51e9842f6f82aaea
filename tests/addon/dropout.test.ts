/** Dropout within the model: gradients under its masks, a mask for each step and seed, and a rate for each of its kinds. */
import { describe, expect, test } from "vitest";
import type { TensorMap } from "../../src/native/contract.js";
import { cacheOff, chunk, constantRates, kernelTables, laneSpec, native } from "../golden/native.js";
import { data, everything, spec, weights } from "./small.js";

const dropouts = { hiddenDropout: 0.1, attentionDropout: 0.25, classifierDropout: 0.4 };
const none = { hiddenDropout: 0, attentionDropout: 0, classifierDropout: 0 };
const rows = Int32Array.of(0, 1, 2, 3, 4, 5);

/** A model and `open(lane)`: a session of one lane that trains everything, with dropout unless it says otherwise. */
async function modelOf(given: Partial<typeof spec>) {
  const model = await native.createModel({ ...spec, ...given }, weights);
  const dataset = await native.addDataset(model, data);
  const open = (lane: Parameters<typeof laneSpec>[1] = {}) =>
    native.createSession(model, [laneSpec(everything, { seed: 3, dropout: true, ...lane })], cacheOff);
  return { model, dataset, open };
}

async function lossOf(given: Partial<typeof spec>, lane: Parameters<typeof laneSpec>[1] = {}) {
  const { model, dataset, open } = await modelOf(given);
  const { loss } = await native.gradients(await open(lane), 0, dataset, rows);
  await native.dispose(model);
  return loss;
}

describe.each(kernelTables)("%s", (isa) => {
  test("gradients are those of the loss under the same masks", async () => {
    const { model, dataset, open } = await modelOf({ ...dropouts, isa });
    const at = async (initial: TensorMap = {}) => {
      const session = await open({ initial });
      const result = await native.gradients(session, 0, dataset, rows);
      await native.dispose(session);
      return result;
    };
    const { gradients } = await at();
    let checked = 0;
    for (const [name, gradient] of Object.entries(gradients)) {
      const slope = Math.hypot(...gradient);
      if (slope < 0.02) continue; // below what differences of fp32 losses show
      // Along the gradient the loss rises by its length.
      const step = 4e-3;
      const moved = (sign: number) =>
        Float32Array.from(weights[name]!, (w, i) => w + (sign * step * gradient[i]!) / slope);
      const [up, down] = [await at({ [name]: moved(1) }), await at({ [name]: moved(-1) })];
      const measured = (up.loss - down.loss) / (2 * step);
      expect(Math.abs(measured / slope - 1), `${name}: ${measured} for ${slope}`).toBeLessThan(0.01);
      checked++;
    }
    expect(checked).toBeGreaterThan(20);
    await native.dispose(model);
  });
});

test("masks are those of the seed and the step", async () => {
  const { model, dataset, open } = await modelOf(dropouts);
  const [one, same, other] = [await open(), await open(), await open({ seed: 4 })];
  const loss = async (session: typeof one) => (await native.gradients(session, 0, dataset, rows)).loss;
  const first = await loss(one);
  expect([await loss(one), await loss(same)]).toEqual([first, first]);
  expect(await loss(other)).not.toBe(first);
  // A step that changes no weight.
  await native.runSteps(one, chunk(dataset, [[...rows]], constantRates(1, [0, 0, 0, 0, 0])));
  expect(await loss(one)).not.toBe(first);
  await native.dispose(model);
});

test("each rate is its own", async () => {
  const plain = await lossOf(none);
  expect(await lossOf(dropouts, { dropout: false })).toBe(plain);
  const losses = [plain];
  for (const kind of Object.keys(none)) losses.push(await lossOf({ ...none, [kind]: 0.4 }));
  expect(new Set(losses).size).toBe(4);
});
