/** Writes a trained classifier as a folder that `AutoModelForSequenceClassification.from_pretrained` opens. */
import path from "node:path";
import { ModelError } from "../errors.js";
import { writeFileAtomic, writeJsonAtomic } from "./atomic.js";
import { exportName } from "./bert.js";
import { type CardData, modelCard } from "./card.js";
import { TOKENIZER_CONFIG, TOKENIZER_FILES } from "./companions.js";
import { replaceFiles } from "./exchange.js";
import { familyOf } from "./families.js";
import { type SaveDtype, writeSafetensors } from "./safetensors-write.js";
import type { ModelFolder, Tensor } from "./types.js";
import { INDEX_FILE, WEIGHTS_FILE } from "./weights.js";

export interface SaveOptions {
  /** What was trained from: its config.json is kept key by key, its companions as they are, but for `model_max_length`. */
  readonly source: Pick<ModelFolder, "path" | "config" | "rawConfig" | "pooling"> & {
    /** As `readCompanions` has them. */
    readonly companions: ReadonlyMap<string, Uint8Array>;
  };
  /** Every tensor of the model, by our names (without `bert.`). */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Tokens that training cut texts at: what prediction cuts them at by itself, here and in transformers. */
  readonly maxLength: number;
  /** Class names in index order. */
  readonly labels: readonly string[];
  /** @default "F32" */
  readonly dtype?: SaveDtype;
  readonly card: CardData;
  /**
   * JSON files that tell of this model, by name, exchanged with it; null for one that this model does not have, so that none
   * of another stays. @default none
   */
  readonly beside?: Readonly<Record<string, object | null>>;
}

const CONFIG_FILE = "config.json";
/** In every model folder that was trained here: what each layer's rate was. A search has one too, of its winner, beside its report. */
export const OWNER_FILE = "layers.json";

/** Of an older model; the index of a sharded one would name weights that are gone. A LICENSE may be anybody's, and stays. */
const STALE = [...TOKENIZER_FILES, INDEX_FILE];

/**
 * Writes config.json, model.safetensors, tokenizer files, README.md and what goes `beside`. A new folder appears whole or not at
 * all; in a folder that is there already (as that of a training, which its claim is in) these files are exchanged together (see
 * `replaceFiles`), and other files stay.
 *
 * @throws ModelError ERR_TENSORS when a tensor is missing, superfluous or of another shape; ERR_OVERFLOW; PermafrostError ERR_WRITE.
 */
export async function saveModelFolder(dir: string, options: SaveOptions): Promise<void> {
  const tensors = exportTensors(options, dir);
  const stale = [...STALE, ...Object.keys(options.beside ?? {})];
  await replaceFiles(dir, { last: CONFIG_FILE, owner: OWNER_FILE, stale }, (stage) =>
    writeInto(stage, tensors, options),
  );
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
  const { source, dtype = "F32", beside = {} } = options;
  for (const [name, bytes] of source.companions)
    if (name !== TOKENIZER_CONFIG) await writeFileAtomic(path.join(stage, name), bytes);
  const tokenizerConfig = source.companions.get(TOKENIZER_CONFIG);
  await writeJsonAtomic(path.join(stage, TOKENIZER_CONFIG), {
    ...(JSON.parse(tokenizerConfig ? Buffer.from(tokenizerConfig).toString() : "{}") as object),
    model_max_length: options.maxLength,
  });
  for (const [name, value] of Object.entries(beside))
    if (value) await writeJsonAtomic(path.join(stage, name), value);
  await writeJsonAtomic(path.join(stage, CONFIG_FILE), exportConfig(options, dtype));
  await writeFileAtomic(
    path.join(stage, "README.md"),
    modelCard({ ...options.card, pooling: source.pooling }),
  );
  await writeSafetensors(path.join(stage, WEIGHTS_FILE), tensors, { dtype });
}

// What says something about the source folder only.
const DROPPED = [
  ...["torch_dtype", "auto_map", "_name_or_path", "num_labels"],
  ...["permafrost_pooling", "permafrost_max_length"],
];
const DTYPE_NAMES: Readonly<Record<SaveDtype, string>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** config.json in Hugging Face's form: the source's keys, then what a classifier adds. */
function exportConfig({ source, labels, maxLength }: SaveOptions, dtype: SaveDtype): Record<string, unknown> {
  const kept = Object.fromEntries(Object.entries(source.rawConfig).filter(([key]) => !DROPPED.includes(key)));
  return {
    ...kept,
    architectures: [familyOf(source.config.model_type, source.path).architecture],
    dtype: DTYPE_NAMES[dtype],
    id2label: Object.fromEntries(labels.map((name, i) => [i, name])),
    label2id: Object.fromEntries(labels.map((name, i) => [name, i])),
    problem_type: "single_label_classification",
    permafrost_max_length: maxLength,
    ...(source.pooling === "mean" ? { permafrost_pooling: "mean" } : {}),
  };
}
