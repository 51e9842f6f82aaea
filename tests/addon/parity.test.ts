/**
 * Parity with Hugging Face on the tiny model of tests/golden, for every kernel table of this machine: logits, losses, hidden
 * states, every gradient, and ten AdamW steps. Tolerance: tests/golden/rule.ts, twice plain float32's error, never raised.
 * A failure names the first tensor, in the order of computation, or the first step that is out of bounds.
 *
 * One table: npx vitest run tests/addon/parity.test.ts -t avx2
 */
import { afterAll, describe, expect, test } from "vitest";
import type { ModelHandle } from "../../src/native/contract.js";
import {
  cacheAuto,
  cacheOff,
  chunk,
  datasetSpec,
  kernelTables,
  laneSpec,
  modelSpec,
  native,
  readAll,
} from "../golden/native.js";
import { readTiny, values, weightsOf } from "../golden/read.js";
import { Comparison, isKeyBias, mismatch, scalarMismatch } from "../golden/rule.js";

const { meta, tensors } = readTiny();

test.skipIf(process.env.PERMAFROST_ISA)("auto takes the best table of this machine", async () => {
  const model = await native.createModel(modelSpec(meta.config), weightsOf(tensors, "cls"));
  const best = ["avx512", "avx2", "portable"].find((isa) => kernelTables.includes(isa));
  expect(native.describeModel(model).isa).toBe(best);
  await native.dispose(model);
});

describe.each(kernelTables)("%s", (isa) => {
  const models = new Map<string, Promise<ModelHandle>>();
  const datasets = new Map<string, number>();

  /** One model per pooling, with every batch of the fixture as a dataset. */
  function open(pooling: "cls" | "mean"): Promise<ModelHandle> {
    const model = models.get(pooling) ?? create(pooling);
    models.set(pooling, model);
    return model;
  }

  async function create(pooling: "cls" | "mean"): Promise<ModelHandle> {
    const spec = modelSpec(meta.config, { pooling, isa, cacheBytes: 1 << 24 });
    const model = await native.createModel(spec, weightsOf(tensors, pooling));
    for (const [name, batch] of Object.entries(meta.batches)) {
      datasets.set(`${pooling}/${name}`, await native.addDataset(model, datasetSpec(batch)));
    }
    return model;
  }

  afterAll(async () => {
    for (const model of models.values()) await native.dispose(await model);
  });

  test("runs the table asked for", async () => {
    expect(native.describeModel(await open("cls")).isa).toBe(isa);
  });

  test.each(meta.cases.map((c) => [c.name, c] as const))("%s", async (_, c) => {
    const model = await open(c.pooling);
    const dataset = datasets.get(`${c.pooling}/${c.batch}`)!;
    const lane = laneSpec(c.trainable, { labelSmoothing: c.label_smoothing });
    const session = await native.createSession(model, [lane], cacheOff);
    const comparison = new Comparison();
    const reference = (name: string) => values(tensors, `${c.tensors}/${name}`);

    const forward = await native.evaluate(session, { lane: 0, dataset, hiddenStates: true });
    comparison.add(mismatch("hidden states", forward.hiddenStates!, reference("hidden"), c.errors.hidden));
    comparison.add(mismatch("logits", forward.logits, reference("logits"), c.errors.logits));
    comparison.add(mismatch("loss per row", forward.loss, reference("row_loss"), c.errors.row_loss));

    const rows = Int32Array.from(meta.batches[c.batch]!.labels, (_label, i) => i);
    const { loss, gradients } = await native.gradients(session, 0, dataset, rows);
    comparison.add(mismatch("mean loss", [loss], [c.loss], c.errors.loss));
    const names = Object.keys(c.gradient_errors);
    expect(Object.keys(gradients).sort()).toEqual([...names].sort());
    for (const name of backwards(names)) {
      comparison.add(
        mismatch(name, gradients[name]!, reference(`gradient/${name}`), c.gradient_errors[name]!),
      );
    }
    expect(comparison.report()).toBe("");
    await native.dispose(session);
  });

  describe("ten AdamW steps", () => {
    const runs = meta.trainings.flatMap((t) =>
      (["off", "auto"] as const).map((cache) => [t.name, cache, t] as const),
    );
    test.each(runs)("%s, cache %s", async (_, cache, t) => {
      const model = await open("cls");
      const dataset = datasets.get(`cls/${t.batch}`)!;
      const lane = laneSpec(t.trainable, {
        beta1: t.beta1,
        beta2: t.beta2,
        epsilon: t.epsilon,
        weightDecay: t.weight_decay,
        maxGradNorm: t.max_grad_norm,
        labelSmoothing: t.label_smoothing,
      });
      const session = await native.createSession(model, [lane], cache === "auto" ? cacheAuto : cacheOff);
      const before = await readAll(model, session);
      const results = await native.runSteps(session, chunk(dataset, t.rows, t.rates));
      expect(results.status).toBe("completed");
      expect([...results.completed]).toEqual([t.rows.length]);

      const comparison = new Comparison();
      for (let s = 0; s < t.rows.length; s++) {
        comparison.add(scalarMismatch(`step ${s}: loss`, results.loss[s]!, t.losses[s]!, t.loss_errors[s]!));
        comparison.add(
          scalarMismatch(`step ${s}: gradient norm`, results.gradNorm[s]!, t.norms[s]!, t.norm_errors[s]!),
        );
      }
      const after = await readAll(model, session);
      for (const name of backwards(Object.keys(after))) {
        const tolerance = t.weight_errors[name];
        if (!tolerance) {
          expect(after[name], `${name} is frozen`).toEqual(before[name]);
        } else if (!isKeyBias(name)) {
          comparison.add(
            mismatch(
              `${name} after ten steps`,
              after[name]!,
              values(tensors, `${t.name}/weights/${name}`),
              tolerance,
            ),
          );
        }
      }
      expect(comparison.report()).toBe("");
      await native.dispose(session);
    });
  });
});

/** Tensor names in the order their gradients are computed: head, last layer, …, embeddings. */
function backwards(names: readonly string[]): string[] {
  const depth = (name: string) =>
    name.startsWith("embeddings.") ? -1 : name.startsWith("encoder.") ? Number(name.split(".")[2]) : 1000;
  return [...names].sort((a, b) => depth(b) - depth(a));
}
