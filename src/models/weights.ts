/** Where a model folder keeps its weights: one file, shards by an index, or a format that is refused. */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { type Issue, ModelError } from "../errors.js";
import { SafetensorsFile } from "./safetensors.js";
import type { HeaderEntry } from "./safetensors-header.js";

export const WEIGHTS_FILE = "model.safetensors";
export const INDEX_FILE = "model.safetensors.index.json";

/** A tensor and the open file it is in. */
export interface StoredTensor {
  readonly file: SafetensorsFile;
  readonly entry: HeaderEntry;
}

/**
 * Opens the folder's weights: `model.safetensors`, else the shards of `model.safetensors.index.json`.
 *
 * @returns tensors by the name in the file. The caller closes the files.
 * @throws ModelError ERR_NO_WEIGHTS, ERR_PICKLE, ERR_INDEX (every problem of the index at once), ERR_UNSAFE_PATH.
 */
export async function openWeights(folder: string): Promise<Map<string, StoredTensor>> {
  const single = path.join(folder, WEIGHTS_FILE);
  if (await exists(single)) {
    const file = await SafetensorsFile.open(single);
    return new Map(file.entries.map((entry) => [entry.name, { file, entry }]));
  }
  const index = path.join(folder, INDEX_FILE);
  if (await exists(index)) return openShards(folder, index);
  throw await noWeights(folder);
}

/** Closes every file once. */
export async function closeWeights(tensors: ReadonlyMap<string, StoredTensor>): Promise<void> {
  for (const file of new Set([...tensors.values()].map((stored) => stored.file))) await file.close();
}

async function openShards(folder: string, index: string): Promise<Map<string, StoredTensor>> {
  const weightMap = await readIndex(index);
  const shardOf = new Map(Object.entries(weightMap));
  const shards = [...new Set(shardOf.values())].sort();
  const places = await confine(folder, shards, index); // before anything is opened
  const issues: Issue[] = [];
  const found = new Map<string, StoredTensor>();
  const files: SafetensorsFile[] = [];
  try {
    for (const shard of shards) {
      const place = places.get(shard)!;
      if (!(await exists(place))) {
        issues.push({ path: shard, expected: "a shard of that name", received: "no such file" });
        continue;
      }
      const file = await SafetensorsFile.open(place);
      files.push(file);
      for (const entry of file.entries) {
        const twin = found.get(entry.name);
        if (twin) {
          const received = `it in ${path.basename(twin.file.path)} and in ${shard}`;
          issues.push({ path: entry.name, expected: "each tensor in one shard", received });
        } else found.set(entry.name, { file, entry });
      }
    }
    const missing = new Set(issues.map((issue) => issue.path));
    for (const [name, shard] of shardOf) {
      const stored = found.get(name);
      if (missing.has(shard) || missing.has(name) || stored?.file.path === places.get(shard)) continue;
      const received = stored ? `it in ${path.basename(stored.file.path)}` : "not there";
      issues.push({ path: name, expected: `the tensor in ${shard}`, received });
    }
    if (issues.length > 0) {
      throw new ModelError("ERR_INDEX", `${index}: does not match its shards`, issues.slice(0, 50));
    }
    return found;
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

async function readIndex(index: string): Promise<Record<string, string>> {
  let weightMap: unknown;
  try {
    weightMap = (JSON.parse(await readFile(index, "utf8")) as { weight_map?: unknown } | null)?.weight_map;
  } catch (cause) {
    const received = (cause as Error).message;
    throw new ModelError("ERR_INDEX", `${index}: malformed`, [{ path: index, expected: "JSON", received }], {
      cause,
    });
  }
  const isMap =
    typeof weightMap === "object" &&
    weightMap !== null &&
    Object.values(weightMap).every((v) => typeof v === "string") &&
    Object.keys(weightMap).length > 0;
  if (isMap) return weightMap as Record<string, string>;
  throw new ModelError("ERR_INDEX", `${index}: malformed`, [
    { path: "weight_map", expected: "an object {tensor: file name}", received: typeof weightMap },
  ]);
}

/**
 * The full path of each shard, none outside the folder: a name from a downloaded file must not reach other files. Links may lead
 * only within the folder, or, in the layout of Hugging Face's cache (models--…/snapshots/<revision>/), to that model's blobs.
 */
async function confine(
  folder: string,
  names: readonly string[],
  index: string,
): Promise<Map<string, string>> {
  const root = await realpath(folder);
  const allowed = [root];
  if (path.basename(path.dirname(root)) === "snapshots") allowed.push(path.join(root, "..", "..", "blobs"));
  const places = new Map<string, string>();
  const issues: Issue[] = [];
  for (const name of names) {
    const bad = badName(name);
    const place = path.join(root, name);
    const real = bad ? place : await realpath(place).catch(() => place); // a missing shard is reported later
    if (bad || !allowed.some((base) => real.startsWith(base + path.sep))) {
      const received = `${JSON.stringify(name)} (${bad ?? `a link to ${real}`})`;
      issues.push({ path: "weight_map", expected: "file names inside the folder", received });
    } else places.set(name, place);
  }
  if (issues.length > 0)
    throw new ModelError("ERR_UNSAFE_PATH", `${index}: names files outside the folder`, issues);
  return places;
}

function badName(name: string): string | null {
  if (name === "") return "empty";
  if (name.includes("\0")) return "a NUL character";
  if (path.posix.isAbsolute(name) || path.win32.isAbsolute(name) || /^[A-Za-z]:/.test(name))
    return "absolute";
  return name.split(/[/\\]/).includes("..") ? "leaves the folder" : null;
}

const PICKLES = /^(pytorch_model.*\.bin|.*\.(pt|pth|ckpt|pkl)|tf_model\.h5|flax_model\.msgpack)$/;

async function noWeights(folder: string): Promise<ModelError> {
  const pickles = (await readdir(folder)).filter((name) => PICKLES.test(name)).sort();
  if (pickles.length === 0) {
    const issue = { path: WEIGHTS_FILE, expected: `${WEIGHTS_FILE} or ${INDEX_FILE}`, received: "neither" };
    return new ModelError("ERR_NO_WEIGHTS", `${folder}: no weights`, [issue]);
  }
  return new ModelError("ERR_PICKLE", `${folder}: weights only in a format that can run code`, [
    {
      path: pickles.join(", "),
      expected: WEIGHTS_FILE,
      received: "files that are never opened here",
      hint: `if you trust them, convert in Python: from transformers import AutoModel, AutoTokenizer; [a.from_pretrained("${folder}").save_pretrained("converted") for a in (AutoModel, AutoTokenizer)]   (a trained classifier: AutoModelForSequenceClassification for AutoModel)`,
    },
  ]);
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
