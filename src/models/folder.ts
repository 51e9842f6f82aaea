/** A Hugging Face model folder, read whole and checked before any work starts. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { type Issue, ModelError } from "../errors.js";
import { turns } from "../event-loop.js";
import { configError, show } from "./config.js";
import { leftBehind } from "./exchange.js";
import { type Family, familyOf } from "./families.js";
import { labelNames } from "./label-names.js";
import type { BertConfig, ModelFolder, Pooling, Tensor } from "./types.js";
import { closeWeights, openWeights, type StoredTensor } from "./weights.js";

export interface LoadOptions {
  /** NaN or infinite weights are an error instead of a notice. @default false */
  readonly strict?: boolean;
  /** @default `permafrost_pooling` of config.json, else "cls". */
  readonly pooling?: Pooling;
  /** optional: labels that cannot be (a regression's, say) are a notice; training makes a classifier of its own. @default "required" */
  readonly classifier?: "required" | "optional";
}

/**
 * @param dir folder with config.json and safetensors weights; tokenizer files are read by data/tokenizer.ts.
 * @throws ModelError naming file and field or tensor, expected and found.
 */
export async function loadModelFolder(dir: string, options: LoadOptions = {}): Promise<ModelFolder> {
  const rawConfig = await readConfig(dir);
  const file = path.join(dir, "config.json");
  const family = familyOf(rawConfig.model_type, file);
  const config = family.parseConfig(rawConfig, file);
  const pooling = options.pooling ?? poolingOf(rawConfig, file);
  const notices: string[] = [];
  if (rawConfig.auto_map !== undefined) {
    notices.push(
      `${file}: auto_map (code from the hub) is ignored; the weights are read as ${config.model_type}`,
    );
  }
  const stored = await openWeights(dir);
  try {
    const selected = select(family, stored, dir, notices);
    const classes = classifierRows(selected, dir);
    let labels: readonly string[] | null = null;
    try {
      if (classes !== null) labels = labelNames(rawConfig, classes, file);
    } catch (error) {
      if (options.classifier !== "optional" || !(error instanceof ModelError)) throw error;
      const fields = error.issues.map((issue) => issue.path).join(", ");
      notices.push(`${file}: the classifier there is left out: ${fields} not of a single-label classifier`);
    }
    const tensors = await readAll(family, config, pooling, classes, selected, dir, notices);
    await reportNonFinite(tensors, options.strict ?? false, dir, notices);
    return {
      path: dir,
      config,
      rawConfig,
      tensors,
      labels,
      pooling,
      maxLength: maxLengthOf(rawConfig, file),
      notices,
    };
  } finally {
    await closeWeights(stored);
  }
}

/** A search's model is in `model` of its output folder, a training's is that folder itself: easily mistaken for another. */
const didYouMean = (place: string) =>
  existsSync(path.join(place, "config.json")) ? { hint: `did you mean ${place}?` } : {};

async function readConfig(dir: string): Promise<Readonly<Record<string, unknown>>> {
  const file = path.join(dir, "config.json");
  const isFolder = await stat(dir).then(
    (s) => s.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    throw new ModelError("ERR_MODEL_FOLDER", `${dir}: not a model folder`, [
      {
        path: dir,
        expected: "a folder with config.json and model.safetensors",
        received: "no such folder",
        ...(path.basename(dir) === "model" ? didYouMean(path.dirname(dir)) : {}),
      },
    ]);
  }
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const left = missing ? await leftBehind(dir, "config.json") : null;
    const issue = {
      path: "config.json",
      expected: "JSON",
      received: missing ? "no such file" : (cause as Error).message,
      ...(missing ? didYouMean(path.join(dir, "model")) : {}),
      ...(left
        ? {
            hint: `a run was killed while it saved here: run it again, or move back the files of the model before it, from ${left}`,
          }
        : {}),
    };
    throw new ModelError("ERR_CONFIG", `${dir}: no usable config.json`, [issue], { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw configError(file, [{ path: "config.json", expected: "a JSON object", received: show(value) }]);
}

function maxLengthOf(raw: Readonly<Record<string, unknown>>, file: string): number | null {
  const value = raw.permafrost_max_length ?? null;
  if (value === null || (Number.isInteger(value) && (value as number) >= 2)) return value as number | null;
  throw new ModelError("ERR_CONFIG", `${file}: not usable`, [
    { path: "permafrost_max_length", expected: "an integer ≥ 2", received: show(value) },
  ]);
}

function poolingOf(raw: Readonly<Record<string, unknown>>, file: string): Pooling {
  const value = raw.permafrost_pooling ?? "cls";
  if (value === "cls" || value === "mean") return value;
  throw configError(file, [
    { path: "permafrost_pooling", expected: '"cls" or "mean"', received: show(value) },
  ]);
}

/** Stored tensors by our names; what a classifier does not use goes to a notice. */
function select(
  family: Family,
  stored: ReadonlyMap<string, StoredTensor>,
  dir: string,
  notices: string[],
): Map<string, StoredTensor> {
  const selected = new Map<string, StoredTensor>();
  const unused: string[] = [];
  for (const [raw, tensor] of stored) {
    const name = family.canonicalName(raw);
    if (name === null) unused.push(raw);
    else if (!selected.has(name)) selected.set(name, tensor);
    else {
      const received = `${selected.get(name)?.entry.name} and ${raw}`;
      throw new ModelError("ERR_TENSORS", `${dir}: two tensors of one name`, [
        { path: name, expected: "one tensor", received },
      ]);
    }
  }
  if (unused.length > 0) notices.push(`not used: ${shorten(unused)}`);
  return selected;
}

/** Classes of the folder's classifier; null when it has none. */
function classifierRows(selected: ReadonlyMap<string, StoredTensor>, dir: string): number | null {
  const weight = selected.get("classifier.weight")?.entry.shape;
  const bias = selected.get("classifier.bias")?.entry.shape;
  if (!weight && !bias) return null;
  if (weight?.length === 2 && bias?.length === 1 && weight[0] === bias[0] && weight[0]! > 0)
    return weight[0]!;
  const received = `${JSON.stringify(weight ?? "none")} and ${JSON.stringify(bias ?? "none")}`;
  throw new ModelError("ERR_TENSORS", `${dir}: half a classifier`, [
    {
      path: "classifier.weight, classifier.bias",
      expected: "shapes [classes, hidden_size] and [classes]",
      received,
    },
  ]);
}

/** Reads what the model needs. Only the head may be missing; every other problem is listed. */
async function readAll(
  family: Family,
  config: BertConfig,
  pooling: Pooling,
  classes: number | null,
  selected: ReadonlyMap<string, StoredTensor>,
  dir: string,
  notices: string[],
): Promise<Map<string, Tensor>> {
  const issues: Issue[] = [];
  const wanted: [string, StoredTensor][] = [];
  const expected = new Set<string>();
  for (const { name, shape, group } of family.tensors(config, classes ?? 2, pooling)) {
    expected.add(name);
    const tensor = selected.get(name);
    if (!tensor) {
      if (group !== "head")
        issues.push({ path: name, expected: `a tensor [${shape.join(", ")}]`, received: "none" });
    } else if (tensor.entry.shape.join() !== shape.join()) {
      const received = `[${tensor.entry.shape.join(", ")}] in ${path.basename(tensor.file.path)}`;
      issues.push({ path: name, expected: `shape [${shape.join(", ")}]`, received });
    } else wanted.push([name, tensor]);
  }
  if (issues.length > 0) {
    const count = issues.length === 1 ? "1 tensor is" : `${issues.length} tensors are`;
    throw new ModelError("ERR_TENSORS", `${dir}: ${count} not as config.json says`, issues.slice(0, 20));
  }
  const unexpected = [...selected.keys()].filter((name) => !expected.has(name));
  if (unexpected.length > 0) notices.push(`not used: ${shorten(unexpected)}`);
  const tensors = new Map<string, Tensor>();
  for (const [name, { file, entry }] of wanted) tensors.set(name, { ...(await file.read(entry)), name });
  return tensors;
}

/** Weights between two looks at the clock; some 4 ms. */
const PIECE = 2 ** 22;

async function reportNonFinite(
  tensors: ReadonlyMap<string, Tensor>,
  strict: boolean,
  dir: string,
  notices: string[],
): Promise<void> {
  const issues: Issue[] = [];
  const turn = turns();
  for (const { name, data } of tensors.values()) {
    let count = 0;
    for (let from = 0; from < data.length; from += PIECE) {
      const end = Math.min(from + PIECE, data.length);
      for (let i = from; i < end; i++) if (data[i]! - data[i]! !== 0) count++;
      await turn();
    }
    if (count > 0)
      issues.push({ path: name, expected: "finite weights", received: `${count} NaN or infinite` });
  }
  if (issues.length === 0) return;
  if (strict)
    throw new ModelError("ERR_NON_FINITE", `${dir}: weights that are no numbers`, issues.slice(0, 20));
  notices.push(
    `NaN or infinite weights: ${shorten(issues.map((issue) => `${issue.path} (${issue.received})`))}`,
  );
}

const shorten = (names: readonly string[]) =>
  names.length > 6 ? `${names.slice(0, 6).join(", ")} and ${names.length - 6} more` : names.join(", ");
