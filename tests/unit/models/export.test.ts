import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { PermafrostError } from "../../../src/errors.js";
import { writeAtomic, writeFileAtomic, writeJsonAtomic } from "../../../src/models/atomic.js";
import { type CardData, modelCard } from "../../../src/models/card.js";
import { readCompanions } from "../../../src/models/companions.js";
import { replaceFiles } from "../../../src/models/exchange.js";
import { type SaveOptions, saveModelFolder } from "../../../src/models/export.js";
import { loadModelFolder } from "../../../src/models/folder.js";
import { hashTensors } from "../../../src/models/hash.js";
import { initialiseModel } from "../../../src/models/init.js";
import type { ModelFolder, Pooling } from "../../../src/models/types.js";
import { checkTarget } from "../../../src/train/target.js";
import { readSafetensors, temporaryFolder, tinyFolder } from "./tiny.js";

/** Called before every rename: the place to look, and to stop. */
const renaming = vi.hoisted(() => ({ before: async (_from: string): Promise<void> => {} }));
vi.mock("node:fs/promises", async (original) => {
  const fs = await original<typeof import("node:fs/promises")>();
  const rename = async (from: string, to: string) => {
    await renaming.before(from);
    await fs.rename(from, to);
  };
  return { ...fs, rename };
});

const base = temporaryFolder();
const card: CardData = {
  name: "demo",
  baseModel: "base",
  baseModelId: "base/model",
  dataset: "questions",
  metrics: [],
};
const LABELS = ["no", 'say "yes"'];

async function trained(pooling: Pooling = "cls"): Promise<SaveOptions & { readonly source: ModelFolder }> {
  const dir = path.join(base, "source");
  await tinyFolder(dir, {
    torch_dtype: "float16",
    auto_map: {},
    own_key: [1],
    num_labels: 7,
    architectures: ["BertModel"],
  });
  writeFileSync(path.join(dir, "tokenizer.json"), '{ "kept": "as is" }\n');
  writeFileSync(path.join(dir, "vocab.txt"), "a\nb\n");
  writeFileSync(path.join(dir, "tokenizer_config.json"), '{ "model_max_length": 512, "own_key": true }');
  const source = { ...(await loadModelFolder(dir, { pooling })), companions: await readCompanions(dir) };
  const { tensors } = initialiseModel(source, LABELS, 1);
  return { source, tensors, labels: LABELS, maxLength: 12, card };
}

test("says what it was trained at also where the source has no tokenizer_config.json", async () => {
  const options = await trained();
  const companions = new Map(options.source.companions);
  companions.delete("tokenizer_config.json");
  const out = path.join(base, "no tokenizer_config");
  await saveModelFolder(out, { ...options, source: { ...options.source, companions } });
  const written = readFileSync(path.join(out, "tokenizer_config.json"), "utf8");
  expect(JSON.parse(written)).toEqual({ model_max_length: 12 });
});

test("its tokenizer is what was read, also where the source is gone since", async () => {
  const options = await trained();
  rmSync(options.source.path, { recursive: true });
  const out = path.join(base, "source gone");
  await saveModelFolder(out, options);
  expect(readFileSync(path.join(out, "tokenizer.json"), "utf8")).toBe('{ "kept": "as is" }\n');
});

test("a folder that Hugging Face's loader knows, and that we read back bit for bit", async () => {
  const options = await trained();
  const out = path.join(base, "deep", "out");
  await saveModelFolder(out, options);
  expect(readdirSync(out).sort()).toEqual([
    "README.md",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
  ]);
  expect(readdirSync(path.dirname(out))).toEqual(["out"]);
  expect(statSync(out).mode & 0o055).toBe(0o055 & ~process.umask());
  const config = JSON.parse(readFileSync(path.join(out, "config.json"), "utf8"));
  expect(config).toMatchObject({
    architectures: ["BertForSequenceClassification"],
    model_type: "bert",
    dtype: "float32",
    id2label: { 0: "no", 1: 'say "yes"' },
    label2id: { no: 0, 'say "yes"': 1 },
    problem_type: "single_label_classification",
    own_key: [1],
  });
  for (const key of ["torch_dtype", "auto_map", "num_labels", "permafrost_pooling"])
    expect(config).not.toHaveProperty(key);
  expect(readFileSync(path.join(out, "tokenizer.json"), "utf8")).toBe('{ "kept": "as is" }\n');
  expect(JSON.parse(readFileSync(path.join(out, "tokenizer_config.json"), "utf8"))).toEqual({
    model_max_length: 12,
    own_key: true,
  });
  const names = [...(await readSafetensors(path.join(out, "model.safetensors"))).keys()];
  expect(names.filter((name) => !name.startsWith("bert."))).toEqual(["classifier.bias", "classifier.weight"]);
  const back = await loadModelFolder(out);
  expect([back.labels, back.maxLength, back.notices]).toEqual([LABELS, 12, []]);
  for (const [name, tensor] of options.tensors) expect(back.tensors.get(name)).toEqual(tensor);
});

test("mean pooling is recorded, and the card says who cannot read it", async () => {
  const out = path.join(base, "mean");
  await saveModelFolder(out, await trained("mean"));
  expect((await loadModelFolder(out)).pooling).toBe("mean");
  expect(readFileSync(path.join(out, "README.md"), "utf8")).toContain(
    "`AutoModelForSequenceClassification` cannot represent that",
  );
});

test("half precision on request", async () => {
  const out = path.join(base, "half");
  await saveModelFolder(out, { ...(await trained()), dtype: "BF16" });
  expect(JSON.parse(readFileSync(path.join(out, "config.json"), "utf8")).dtype).toBe("bfloat16");
  expect((await loadModelFolder(out)).tensors.size).toBe(41);
});

test("into a folder that is there: its other files stay, an old index goes", async () => {
  const out = path.join(base, "there");
  mkdirSync(out);
  writeFileSync(path.join(out, "trainer_state.json"), "{}");
  writeFileSync(path.join(out, "model.safetensors.index.json"), "{}");
  await saveModelFolder(out, await trained());
  await saveModelFolder(out, await trained());
  expect(readdirSync(out)).toContain("trainer_state.json");
  expect(readdirSync(out)).not.toContain("model.safetensors.index.json");
  expect((await loadModelFolder(out)).labels).toEqual(LABELS);
});

test("what tells of an older model goes with it: its results, its tokenizer's files", async () => {
  const out = path.join(base, "older");
  const results = { "layers.json": { rate: 1 }, "test_results.json": { accuracy: 1 } };
  await saveModelFolder(out, { ...(await trained()), beside: results });
  writeFileSync(path.join(out, "merges.txt"), "");
  writeFileSync(path.join(out, "LICENSE"), "mine");
  await saveModelFolder(out, {
    ...(await trained()),
    beside: { "layers.json": { rate: 2 }, "test_results.json": null },
  });
  expect(readdirSync(out).sort()).toEqual([
    "LICENSE",
    "README.md",
    "config.json",
    "layers.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
  ]);
  expect(JSON.parse(readFileSync(path.join(out, "layers.json"), "utf8"))).toEqual({ rate: 2 });
});

describe("stopped while it replaces a folder", () => {
  // The second model differs in class names, weights and what is beside; all must always be seen together.
  const first = { names: LABELS, seed: 1, beside: { "layers.json": { of: "first" }, "test.json": {} } };
  const second = {
    names: ["up", "down"],
    seed: 2,
    beside: { "layers.json": { of: "second" }, "test.json": null },
  };
  const hashes = new Map<string, string>();

  async function save(out: string, { names, seed, beside }: typeof first | typeof second): Promise<void> {
    const options = await trained();
    const { tensors } = initialiseModel(options.source, names, seed);
    await saveModelFolder(out, { ...options, tensors, labels: names, beside });
  }

  /** "first", "second", or "none" when the folder does not load. Anything mixed fails. */
  async function whichIn(dir: string): Promise<string> {
    const folder = await loadModelFolder(dir).catch(() => null);
    if (!folder) return "none";
    const which = folder.labels?.join() === first.names.join() ? "first" : "second";
    expect(await hashTensors(folder.tensors.values()), dir).toBe(hashes.get(which));
    // On their way they are in two folders.
    if (dir.endsWith(".tmp")) return which;
    expect(JSON.parse(readFileSync(path.join(dir, "layers.json"), "utf8"))).toEqual({ of: which });
    expect(existsSync(path.join(dir, "test.json"))).toBe(which === "first");
    return which;
  }

  test("at any rename: never new names over old weights, one whole folder at every moment, the old one back after an error", async () => {
    for (const [name, model] of Object.entries({ first, second })) {
      await save(path.join(base, name), model);
      const { tensors } = await loadModelFolder(path.join(base, name));
      hashes.set(name, await hashTensors(tensors.values()));
    }
    const place = path.join(base, "place");
    const out = path.join(place, "model");
    mkdirSync(place);
    await save(out, first);
    const seen: string[] = [];
    let renames = 0;
    let fails = Number.POSITIVE_INFINITY;
    renaming.before = async (from) => {
      if (path.dirname(from) !== out && !path.basename(path.dirname(from)).startsWith(".model.")) return;
      if (from.endsWith(".tmp")) return; // files being written into the stage
      expect(readdirSync(place)).toEqual(["model"]); // beside it may be another file system
      const folders = [out, ...readdirSync(out).map((name) => path.join(out, name))];
      const found = await Promise.all(folders.map(whichIn));
      expect(found.filter((which) => which !== "none").length).toBeGreaterThan(0);
      seen.push(await whichIn(out));
      if (renames++ === fails) throw Object.assign(new Error("refused"), { code: "EACCES" });
    };
    try {
      await save(out, second);
      expect(new Set(seen)).toEqual(new Set(["first", "none"])); // no rename after the one that ends it
      expect(await whichIn(out)).toBe("second");
      const total = renames;
      expect(total).toBeGreaterThan(6);
      for (let at = 0; at < total; at++) {
        [renames, fails] = [0, at];
        await expect(save(out, first)).rejects.toMatchObject({ code: "ERR_WRITE" });
        expect(await whichIn(out)).toBe("second");
        expect(readdirSync(place)).toEqual(["model"]);
        expect(readdirSync(out).filter((name) => name.endsWith(".tmp"))).toEqual([]);
      }
    } finally {
      renaming.before = async () => {};
    }
  });
});

test("killed at any rename: the folder is known for ours, and the next model finds its place and leaves nothing else", async () => {
  const [out, killed] = [path.join(base, "kill", "model"), path.join(base, "killed")];
  const beside = { "layers.json": {}, "test.json": {} };
  await saveModelFolder(out, { ...(await trained()), beside });
  let renames = 0;
  renaming.before = async (from) => {
    if (!from.startsWith(out) || from.endsWith(".tmp")) return;
    cpSync(path.dirname(out), path.join(killed, String(renames++)), { recursive: true });
  };
  try {
    await saveModelFolder(out, { ...(await trained()), beside: { ...beside, "test.json": null } });
  } finally {
    renaming.before = async () => {};
  }
  expect(renames).toBeGreaterThan(10);
  const whole = readdirSync(out);
  let refused = 0;
  for (let at = 0; at < renames; at++) {
    const place = path.join(killed, String(at));
    const model = path.join(place, "model");
    expect(
      readdirSync(model).some((name) => name.endsWith(".tmp")),
      `${at}`,
    ).toBe(true);
    await checkTarget(model, path.join(base, "source"));
    const loaded = await loadModelFolder(model).catch((error: Error) => error.message);
    // Before the first file went it is the old model; then it is none, and the error says where its files are.
    if (typeof loaded === "string") {
      expect(loaded, `${at}`).toMatch(
        /killed while it saved here: .* from .*\.model\.[0-9a-f]{8}\.old\.tmp$/,
      );
      refused++;
    }
    const reports = path.join(model, ".model.0123abcd.old.tmp"); // of another exchange, as that of a search's reports
    mkdirSync(reports);
    writeFileSync(path.join(reports, "report.json"), "{}");
    await saveModelFolder(model, { ...(await trained()), beside: { ...beside, "test.json": null } });
    expect(readdirSync(model), `${at}`).toEqual([path.basename(reports), ...whole]);
    expect(readdirSync(place), `${at}`).toEqual(["model"]);
  }
  expect(refused).toBe(renames - 1);
});

test("what was left beside a first model goes with the next one", async () => {
  const place = path.join(base, "first model");
  for (const name of [".model.0123abcd.tmp", ".model.tmp", ".model2.0123abcd.tmp"])
    mkdirSync(path.join(place, name), { recursive: true });
  await saveModelFolder(path.join(place, "model"), await trained());
  expect(readdirSync(place).sort()).toEqual([".model.tmp", ".model2.0123abcd.tmp", "model"]);
});

test("files that cannot be moved back either are kept, and the error names where", async () => {
  const out = path.join(base, "stuck");
  const write = (text: string) =>
    replaceFiles(out, { last: "b" }, async (stage) => {
      for (const name of ["a", "b"]) writeFileSync(path.join(stage, name), text);
    });
  mkdirSync(out);
  await write("old");
  let renames = 0;
  renaming.before = async () => {
    if (renames++ >= 1) throw Object.assign(new Error("refused"), { code: "EACCES" });
  };
  try {
    const error = (await write("new").catch((e: unknown) => e)) as PermafrostError;
    expect(error.code).toBe("ERR_WRITE");
    const aside = error.issues[0]!.path;
    expect(readFileSync(path.join(aside, "b"), "utf8")).toBe("old");
    expect(readFileSync(path.join(out, "a"), "utf8")).toBe("old");
  } finally {
    renaming.before = async () => {};
  }
});

test("nothing is left when it fails", async () => {
  const options = await trained();
  const before = readdirSync(base).sort();
  const missing = new Map([...options.tensors].slice(1));
  await expect(saveModelFolder(path.join(base, "bad"), { ...options, tensors: missing })).rejects.toThrow(
    /word_embeddings.weight +expected a tensor \[11, 8\], received none/,
  );
  const extra = new Map([...options.tensors, ["x", { name: "x", shape: [1], data: new Float32Array(1) }]]);
  await expect(saveModelFolder(path.join(base, "bad"), { ...options, tensors: extra })).rejects.toThrow(
    /others too/,
  );
  writeFileSync(path.join(base, "a-file"), "");
  await expect(saveModelFolder(path.join(base, "a-file", "out"), options)).rejects.toMatchObject({
    code: "ERR_WRITE",
  });
  await expect(saveModelFolder(path.join(base, "a-file"), options)).rejects.toMatchObject({
    code: "ERR_WRITE",
  });
  expect(readdirSync(base).sort()).toEqual([...before, "a-file"].sort());
});

test("an atomic write that fails leaves the old file, and no other", async () => {
  const file = path.join(base, "atomic", "x.json");
  await writeJsonAtomic(file, { a: 1 });
  const full = Object.assign(new Error("full"), { code: "ENOSPC" });
  await expect(
    writeAtomic(file, async (handle) => {
      await handle.write("half");
      throw full;
    }),
  ).rejects.toThrow(/x.json: not written[\s\S]*no space left on the device/);
  await expect(writeFileAtomic(path.join(file, "y"), "")).rejects.toMatchObject({ code: "ERR_WRITE" });
  expect(readFileSync(file, "utf8")).toBe('{\n  "a": 1\n}\n');
  expect(readdirSync(path.dirname(file))).toEqual(["x.json"]);
});

test("the model card", () => {
  const text = modelCard({
    ...card,
    license: "apache-2.0",
    metrics: [{ type: "accuracy", value: 0.971, split: "test" }],
    learningRates: { embeddings: 0, "layer.0": 2e-5 },
    hyperparameters: { num_train_epochs: 3 },
    tags: ["a: b"],
  });
  expect(text).toMatchInlineSnapshot(`
    "---
    library_name: transformers
    license: "apache-2.0"
    base_model: "base/model"
    pipeline_tag: text-classification
    tags:
      - "text-classification"
      - "permafrost"
      - "a: b"
    metrics:
      - "accuracy"
    model-index:
      - name: "demo"
        results:
          - task:
              type: text-classification
              name: Text Classification
            dataset:
              name: "questions"
              type: "questions"
            metrics:
              - type: "accuracy"
                value: 0.971
                name: "accuracy (test)"
    ---

    # demo

    A text classifier: base fine-tuned on questions.

    ## Results

    | metric | split | value |
    | --- | --- | --- |
    | accuracy | test | 0.9710 |

    ## Learning rate of each layer

    | group | learning rate |
    | --- | --- |
    | embeddings | 0 (frozen) |
    | layer.0 | 0.00002 |

    ## Training

    | argument | value |
    | --- | --- |
    | \`num_train_epochs\` | 3 |

    "
  `);
});
