/**
 * The fixtures against a second, independent implementation in float64 (bert64.ts): logits, losses and hidden states to
 * 1e-10, gradients by central differences along a random direction. Needs no native addon: when this fails, the fixture is wrong.
 */
import { expect, test } from "vitest";
import { forward64 } from "./bert64.js";
import { type Case, readMinilm, readTiny, values, weightsOf } from "./read.js";
import { errorsOf, isKeyBias } from "./rule.js";

const { meta, tensors } = readTiny();
const own = meta.cases.filter((c) => c.tensors === c.name);

test.each(own.map((c) => [c.name, c] as const))("forward: %s", (_, c) => {
  const f = run(c, weightsOf(tensors, c.pooling));
  expect(errorsOf(f.logits, values(tensors, `${c.name}/logits`)).max).toBeLessThan(1e-10);
  expect(errorsOf(f.rowLoss, values(tensors, `${c.name}/row_loss`)).max).toBeLessThan(1e-10);
  expect(errorsOf(f.hidden, values(tensors, `${c.name}/hidden`)).max).toBeLessThan(1e-10);
  expect(Math.abs(f.loss - c.loss)).toBeLessThan(1e-10);
});

// Along one direction d over all tensors: (L(w + εd) - L(w - εd)) / 2ε = Σ g·d up to ε².
test.each(own.map((c) => [c.name, c] as const))("gradients: %s", (_, c) => {
  const names = Object.keys(c.gradient_errors);
  expect(names.length).toBe(Object.keys(weightsOf(tensors, c.pooling)).length);
  for (let direction = 0; direction < 3; direction++) checkSlope(c, names, 1 + direction);
});

test("gradients, tensor by tensor: text pairs", () => {
  const c = own.find((x) => x.name === "text pairs")!;
  for (const name of Object.keys(c.gradient_errors)) checkSlope(c, [name], 7);
});

test("frozen cases name exactly the gradients of what is trained", () => {
  const group = (name: string) =>
    name.startsWith("embeddings.")
      ? 0
      : name.startsWith("encoder.")
        ? 1 + Number(name.split(".")[2])
        : meta.config.num_hidden_layers + 1;
  for (const c of meta.cases) {
    const expected = Object.keys(weightsOf(tensors, c.pooling)).filter((n) => c.trainable[group(n)]);
    expect(Object.keys(c.gradient_errors).sort(), c.name).toEqual(expected.sort());
  }
});

test("the pad token's row has no gradient, though a text holds it", () => {
  const C = meta.config.hidden_size;
  const pad = meta.config.pad_token_id;
  const word = values(tensors, "pad token inside a text/gradient/embeddings.word_embeddings.weight");
  expect(meta.batches["pad-inside"]!.ids).toContain(pad);
  expect(word.subarray(pad * C, pad * C + C).every((g) => g === 0)).toBe(true);
});

test("the exact gradient of a key bias is zero, and plain float32's is not", () => {
  const c = own[0]!;
  const biases = Object.keys(c.gradient_errors).filter(isKeyBias);
  expect(biases.length).toBe(meta.config.num_hidden_layers);
  for (const name of biases) {
    const g = values(tensors, `${c.name}/gradient/${name}`);
    expect(Math.max(...g.map(Math.abs))).toBeLessThan(1e-15);
    expect(c.gradient_errors[name]!.max).toBeGreaterThan(1e-12);
  }
});

test("real model: the fixture names every tensor, and its samples lie inside", () => {
  const real = readMinilm();
  const names = Object.keys(real.meta.gradients);
  expect(names.length).toBe(5 + 16 * real.meta.config.num_hidden_layers + 4);
  for (const name of names) {
    const at = values(real.tensors, `positions/${name}`);
    expect(values(real.tensors, `gradient/${name}`).length).toBe(at.length);
    expect(new Set(at).size).toBe(at.length);
  }
});

function run(c: Case, weights: Record<string, ArrayLike<number>>) {
  return forward64(meta.config, weights, meta.batches[c.batch]!, c.pooling, c.label_smoothing);
}

function checkSlope(c: Case, names: readonly string[], seed: number) {
  const base = weightsOf(tensors, c.pooling);
  const random = generator(seed);
  const directions = new Map(names.map((n) => [n, Float64Array.from(base[n]!, () => random() - 0.5)]));
  // The pad token's row is read and still gets no gradient (nn.Embedding's padding_idx): it stays where it is.
  const pad = meta.config.pad_token_id * meta.config.hidden_size;
  directions.get("embeddings.word_embeddings.weight")?.fill(0, pad, pad + meta.config.hidden_size);
  let expected = 0;
  let size = 0;
  for (const [name, d] of directions) {
    const g = values(tensors, `${c.name}/gradient/${name}`);
    for (let i = 0; i < d.length; i++) {
      expected += g[i]! * d[i]!;
      size += Math.abs(g[i]! * d[i]!);
    }
  }
  const at = (step: number) => {
    const moved: Record<string, ArrayLike<number>> = { ...base };
    for (const [name, d] of directions)
      moved[name] = Float64Array.from(base[name]!, (w, i) => w + step * d[i]!);
    return run(c, moved).loss;
  };
  const step = 1e-5;
  const slope = (at(step) - at(-step)) / (2 * step);
  // Rounding of L over the step, and the third derivative times its square.
  expect(
    Math.abs(slope - expected),
    `${c.name}: ${names.length === 1 ? names[0] : "all tensors"}`,
  ).toBeLessThan(1e-9 + 1e-7 * size);
}

/** Lehmer's generator: fixed numbers in (0, 1). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
