/** Writes a trained classifier as a folder that `AutoModelForSequenceClassification.from_pretrained` opens. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { ModelError } from "../errors.js";
import { asWriteError, syncFolder, writeFileAtomic, writeJsonAtomic } from "./atomic.js";
import { exportName } from "./bert.js";
import { type CardData, modelCard } from "./card.js";
import { familyOf } from "./families.js";
import { makeFolder } from "./make-folder.js";
import { type SaveDtype, writeSafetensors } from "./safetensors-write.js";
import type { ModelFolder, Tensor } from "./types.js";
import { INDEX_FILE, WEIGHTS_FILE } from "./weights.js";

export interface SaveOptions {
  /** What was trained from: its config.json is kept key by key, its tokenizer files are copied. */
  readonly source: Pick<ModelFolder, "path" | "config" | "rawConfig" | "pooling">;
  /** Every tensor of the model, by our names (without `bert.`). */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Class names in index order. */
  readonly labels: readonly string[];
  /** @default "F32" */
  readonly dtype?: SaveDtype;
  readonly card: CardData;
}

const CONFIG_FILE = "config.json";

/** Copied unchanged where the source has them. */
const COPIED = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "special_tokens_map.json",
  "added_tokens.json",
  "generation_config.json",
  "LICENSE",
  "NOTICE",
];

/**
 * Writes config.json, model.safetensors, tokenizer files and README.md. A new folder appears whole or not at all; in a folder
 * that is there already these files are exchanged together (see `exchange`), and other files stay.
 *
 * @throws ModelError ERR_TENSORS when a tensor is missing, superfluous or of another shape; ERR_OVERFLOW; PermafrostError ERR_WRITE.
 */
export async function saveModelFolder(dir: string, options: SaveOptions): Promise<void> {
  const target = path.resolve(dir);
  const tensors = exportTensors(options, dir);
  let stage: string | undefined;
  try {
    // Inside a folder that is there: what is beside it may be another file system (a mounted volume), or not ours to write.
    const base = (await stat(target).catch(() => null)) ? target : path.dirname(target);
    const place = path.join(base, `.${path.basename(target)}.${randomBytes(4).toString("hex")}.tmp`);
    await makeFolder(place);
    stage = place;
    await writeInto(stage, tensors, options);
    await moveInto(stage, target);
  } catch (error) {
    throw asWriteError(error, dir);
  } finally {
    if (stage) await rm(stage, { recursive: true, force: true });
  }
}

function exportTensors({ source, tensors, labels }: SaveOptions, dir: string): Tensor[] {
  const family = familyOf(source.config.model_type, dir);
  const specs = family.tensors(source.config, labels.length, source.pooling);
  const out = specs.map(({ name, shape }) => {
    const tensor = tensors.get(name);
    if (tensor && tensor.shape.join() === shape.join()) return { ...tensor, name: exportName(name) };
    const received = tensor ? `[${tensor.shape.join(", ")}]` : "none";
    throw new ModelError("ERR_TENSORS", `${dir}: not written`, [
      { path: name, expected: `a tensor [${shape.join(", ")}]`, received },
    ]);
  });
  if (tensors.size === specs.length) return out;
  const known = new Set(specs.map((spec) => spec.name));
  const extra = [...tensors.keys()].filter((name) => !known.has(name));
  throw new ModelError("ERR_TENSORS", `${dir}: not written`, [
    { path: extra.join(", "), expected: "the tensors of the model", received: "others too" },
  ]);
}

async function writeInto(stage: string, tensors: readonly Tensor[], options: SaveOptions): Promise<void> {
  const { source, dtype = "F32" } = options;
  for (const name of COPIED) {
    const bytes = await readFile(path.join(source.path, name)).catch(ignoreMissing);
    if (bytes) await writeFileAtomic(path.join(stage, name), bytes);
  }
  await writeJsonAtomic(path.join(stage, CONFIG_FILE), exportConfig(options, dtype));
  await writeFileAtomic(
    path.join(stage, "README.md"),
    modelCard({ ...options.card, pooling: source.pooling }),
  );
  await writeSafetensors(path.join(stage, WEIGHTS_FILE), tensors, { dtype });
}

// What says something about the source folder only.
const DROPPED = ["torch_dtype", "auto_map", "_name_or_path", "num_labels", "permafrost_pooling"];
const DTYPE_NAMES: Readonly<Record<SaveDtype, string>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** config.json in Hugging Face's form: the source's keys, then what a classifier adds. */
function exportConfig({ source, labels }: SaveOptions, dtype: SaveDtype): Record<string, unknown> {
  const kept = Object.fromEntries(Object.entries(source.rawConfig).filter(([key]) => !DROPPED.includes(key)));
  return {
    ...kept,
    architectures: [familyOf(source.config.model_type, source.path).architecture],
    dtype: DTYPE_NAMES[dtype],
    id2label: Object.fromEntries(labels.map((name, i) => [i, name])),
    label2id: Object.fromEntries(labels.map((name, i) => [name, i])),
    problem_type: "single_label_classification",
    ...(source.pooling === "mean" ? { permafrost_pooling: "mean" } : {}),
  };
}

async function moveInto(stage: string, target: string): Promise<void> {
  const there = await stat(target).catch(() => null);
  if (there) await exchange(stage, target);
  else await rename(stage, target);
  await syncFolder(there ? target : path.dirname(target));
}

/**
 * Puts the files of `stage` in the place of those of `target`. config.json goes first and comes last: new class names are
 * never seen over old weights, a reader in between finds no config.json and says so. The old files wait in a folder of
 * their own until the new ones are in, so at every moment the old model or the new one is whole in one folder; an error moves
 * them back.
 */
async function exchange(stage: string, target: string): Promise<void> {
  const fresh = configLast(await readdir(stage));
  const present = new Set(await readdir(target));
  // An older model may have been sharded; its index would name weights that are gone.
  const old = configLast([...fresh, INDEX_FILE].filter((name) => present.has(name))).reverse();
  const aside = `${stage.slice(0, -".tmp".length)}.old.tmp`;
  await mkdir(aside);
  const moved: [from: string, to: string][] = [];
  const move = async (name: string, from: string, to: string) => {
    await rename(path.join(from, name), path.join(to, name));
    moved.push([path.join(from, name), path.join(to, name)]);
  };
  try {
    for (const name of old) await move(name, target, aside);
    for (const name of fresh) await move(name, stage, target);
  } catch (error) {
    for (const [from, to] of moved.reverse()) await rename(to, from);
    await rm(aside, { recursive: true, force: true });
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

const configLast = (names: readonly string[]) =>
  [...names].sort((a, b) => Number(a === CONFIG_FILE) - Number(b === CONFIG_FILE));

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}
