/**
 * What a folder lacks of the head is drawn as Hugging Face does: weights normal(0, initializer_range), biases zero.
 *
 * Deterministic: Philox blocks keyed (seed, tensor, element) and Box-Muller in float64. `Math.log`, `Math.cos` and `Math.sin` are V8's
 * own code (fdlibm) and not the system's, so values agree wherever Node runs, up to a compiler's use of fused multiply-add;
 * rounding to fp32 hides nearly all of that.
 */
import { createHash } from "node:crypto";
import { philox } from "../random/philox.js";
import type { TensorSpec } from "./bert.js";
import { familyOf } from "./families.js";
import type { ModelFolder, Tensor } from "./types.js";

export interface InitialisedModel {
  /** Every tensor of the classifier, by name; those of the folder are shared, not copied. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Names that were drawn. */
  readonly initialised: readonly string[];
  /** A sentence naming what is new; null when nothing is. */
  readonly notice: string | null;
}

/**
 * Completes a folder to a classifier over `labels`. The folder's own classifier is kept exactly when its class names are the same
 * in the same order; another one would give old meanings to new classes.
 *
 * @param seed a safe integer ≥ 0.
 */
export function initialiseModel(
  folder: ModelFolder,
  labels: readonly string[],
  seed: number,
): InitialisedModel {
  const family = familyOf(folder.config.model_type, folder.path);
  const same =
    folder.labels?.length === labels.length && folder.labels.every((name, i) => name === labels[i]);
  const tensors = new Map<string, Tensor>();
  const initialised: string[] = [];
  for (const spec of family.tensors(folder.config, labels.length, folder.pooling)) {
    const own = folder.tensors.get(spec.name);
    if (own && (same || !spec.name.startsWith("classifier."))) tensors.set(spec.name, own);
    else {
      tensors.set(spec.name, draw(spec, folder.config.initializer_range, seed));
      initialised.push(spec.name);
    }
  }
  return { tensors, initialised, notice: noticeOf(initialised, folder, same) };
}

/** Those tensors as another seed draws them. */
export function drawTensors(
  { config, pooling, path }: Pick<ModelFolder, "config" | "pooling" | "path">,
  labels: readonly string[],
  names: readonly string[],
  seed: number,
): Tensor[] {
  const specs = familyOf(config.model_type, path).tensors(config, labels.length, pooling);
  return names.map((name) => draw(specs.find((spec) => spec.name === name)!, config.initializer_range, seed));
}

function noticeOf(initialised: readonly string[], folder: ModelFolder, same: boolean): string | null {
  if (initialised.length === 0) return null;
  const replaced =
    !same && folder.labels ? ` (the classifier there has other classes: ${list(folder.labels)})` : "";
  return `newly initialised, not in ${folder.path}: ${initialised.join(", ")}${replaced}`;
}

const list = (names: readonly string[]) =>
  names.length > 5 ? `${names.slice(0, 5).join(", ")}, …` : names.join(", ");

function draw({ name, shape }: TensorSpec, deviation: number, seed: number): Tensor {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  if (!name.endsWith(".bias")) fillNormal(data, name, deviation, seed);
  return { name, shape, data };
}

/** Two normals from two uniforms, four a block. The uniform under the logarithm is in (0, 1]. */
function fillNormal(data: Float32Array, name: string, deviation: number, seed: number): void {
  const key = [(seed % 2 ** 32) | 0, Math.floor(seed / 2 ** 32) | 0] as const;
  const tensor = createHash("sha256").update(name).digest();
  const [siteA, siteB] = [tensor.readInt32LE(0), tensor.readInt32LE(4)];
  for (let block = 0; block * 4 < data.length; block++) {
    const [a, b, c, d] = philox([block, 0, siteA, siteB], key);
    const values = [...boxMuller(a, b), ...boxMuller(c, d)];
    for (let i = 0; i < 4 && block * 4 + i < data.length; i++) data[block * 4 + i] = deviation * values[i]!;
  }
}

function boxMuller(x: number, y: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log((x + 1) / 2 ** 32));
  const angle = (2 * Math.PI * y) / 2 ** 32;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
