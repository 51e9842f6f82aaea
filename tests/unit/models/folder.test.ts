import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ModelError } from "../../../src/errors.js";
import { type LoadOptions, loadModelFolder } from "../../../src/models/folder.js";
import { hashTensors } from "../../../src/models/hash.js";
import { initialiseModel } from "../../../src/models/init.js";
import { writeSafetensors } from "../../../src/models/safetensors-write.js";
import type { ModelFolder, Tensor } from "../../../src/models/types.js";
import { TINY, temporaryFolder, tinyFolder, tinyTensors } from "./tiny.js";

const base = temporaryFolder();
let count = 0;
const fresh = () => path.join(base, `m${++count}`);

const hashOf = ({ tensors }: ModelFolder) => hashTensors(tensors.values());

async function failure(dir: string, options?: LoadOptions): Promise<ModelError> {
  const error = await loadModelFolder(dir, options).then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ModelError);
  expect((error as ModelError).message).toContain(dir);
  return error as ModelError;
}

/** Changes tensors by name; null takes one out. */
const changed = (changes: Readonly<Record<string, Partial<Tensor> | null>>, classes = 0): Tensor[] =>
  tinyTensors(classes).flatMap((tensor) => {
    const change = changes[tensor.name];
    return change === null ? [] : [{ ...tensor, ...change }];
  });

test("where there is no model, the one a folder above or below is named: search and train put theirs there", async () => {
  const [above, below] = [fresh(), fresh()];
  await tinyFolder(above);
  await tinyFolder(path.join(below, "model"));
  expect((await failure(path.join(above, "model"))).issues[0]!.hint).toBe(`did you mean ${above}?`);
  expect((await failure(below)).issues[0]!.hint).toBe(`did you mean ${path.join(below, "model")}?`);
  expect((await failure(fresh())).issues[0]!.hint).toBeUndefined();
});

describe("what is read", () => {
  test("an encoder with pooler: every tensor, no labels, no notices", async () => {
    const folder = await loadModelFolder(await tinyFolder(fresh()));
    expect(folder.tensors.size).toBe(5 + 2 * 16 + 2);
    expect(folder.config).toEqual(TINY);
    expect([folder.labels, folder.pooling, folder.notices]).toEqual([null, "cls", []]);
  });

  test("with bert. prefix, gamma and beta, other heads and buffers: the same hash, and a notice", async () => {
    const plain = await loadModelFolder(await tinyFolder(fresh()));
    const old = tinyTensors().map((tensor) => ({
      ...tensor,
      name: `bert.${tensor.name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")}`,
    }));
    const extra = ["bert.embeddings.position_ids", "cls.predictions.bias", "qa_outputs.bias"].map((name) => ({
      name,
      shape: [1],
      data: new Float32Array(1),
    }));
    const folder = await loadModelFolder(await tinyFolder(fresh(), {}, [...old, ...extra]));
    expect(await hashOf(folder)).toBe(await hashOf(plain));
    expect(folder.notices).toEqual([
      "not used: bert.embeddings.position_ids, cls.predictions.bias",
      "not used: qa_outputs.bias",
    ]);
  });

  test("a classifier and its class names", async () => {
    const config = { id2label: { 0: "no", 1: "yes", 2: "maybe" }, label2id: { no: 0, yes: 1, maybe: 2 } };
    const dir = await tinyFolder(fresh(), config, tinyTensors(3));
    expect((await loadModelFolder(dir)).labels).toEqual(["no", "yes", "maybe"]);
    expect((await loadModelFolder(await tinyFolder(fresh(), {}, tinyTensors(2)))).labels).toEqual([
      "LABEL_0",
      "LABEL_1",
    ]);
  });

  test("mean pooling leaves the pooler out, by option or by config.json", async () => {
    const dir = await tinyFolder(fresh(), { permafrost_pooling: "mean" });
    const folder = await loadModelFolder(dir);
    expect(folder.pooling).toBe("mean");
    expect(folder.tensors.has("pooler.dense.weight")).toBe(false);
    expect(folder.notices).toEqual(["not used: pooler.dense.bias, pooler.dense.weight"]);
    expect((await loadModelFolder(dir, { pooling: "cls" })).pooling).toBe("cls");
  });

  test("defaults of old config files; dtype and auto_map do not matter", async () => {
    const dir = await tinyFolder(fresh(), {
      type_vocab_size: undefined,
      hidden_act: undefined,
      layer_norm_eps: undefined,
      torch_dtype: "float16",
      auto_map: { AutoModel: "evil.Model" },
    });
    const folder = await loadModelFolder(dir);
    expect(folder.config).toEqual(TINY);
    expect(folder.notices[0]).toContain("auto_map");
  });

  test("no padding token is none, not token 0; a missing field is Hugging Face's default", async () => {
    const read = async (pad_token_id: unknown) =>
      (await loadModelFolder(await tinyFolder(fresh(), { pad_token_id }))).config.pad_token_id;
    expect([await read(null), await read(undefined), await read(3)]).toEqual([-1, 0, 3]);
  });

  test("NaN in a weight: a notice, and an error when strict", async () => {
    const data = Float32Array.from({ length: 8 }, (_, i) => (i === 3 ? Number.NaN : i === 4 ? Infinity : 0));
    const dir = await tinyFolder(fresh(), {}, changed({ "embeddings.LayerNorm.bias": { data } }));
    expect((await loadModelFolder(dir)).notices).toEqual([
      "NaN or infinite weights: embeddings.LayerNorm.bias (2 NaN or infinite)",
    ]);
    expect((await failure(dir, { strict: true })).code).toBe("ERR_NON_FINITE");
  });
});

describe("config.json is refused", () => {
  const cases: readonly [string, Readonly<Record<string, unknown>>, RegExp][] = [
    ["a missing field", { hidden_size: undefined }, /hidden_size +expected a number, received nothing/],
    ["a wrong type", { vocab_size: "11" }, /vocab_size +expected a number, received "11"/],
    ["a fraction", { num_hidden_layers: 1.5 }, /num_hidden_layers +expected an integer, received 1.5/],
    ["zero layers", { num_hidden_layers: 0 }, /num_hidden_layers +expected at least 1, received 0/],
    ["a huge size", { vocab_size: 1e15 }, /vocab_size +expected at most/],
    [
      "heads that do not divide",
      { num_attention_heads: 3 },
      /hidden_size +expected num_attention_heads \(3\) times a multiple of 8, the head size, received 8/,
    ],
    ["heads the core has no kernels for", { num_attention_heads: 2 }, /hidden_size +expected .*received 8/],
    [
      "more positions than the core takes",
      { max_position_embeddings: 2 ** 16 + 1 },
      /max_position_embeddings +expected at most 65536, received 65537/,
    ],
    [
      "another activation",
      { hidden_act: "gelu_new" },
      /hidden_act +expected "gelu", received "gelu_new"; other act/,
    ],
    [
      "other positions",
      { position_embedding_type: "relative_key" },
      /position_embedding_type +expected "absolute"/,
    ],
    ["a decoder", { is_decoder: true }, /is_decoder +expected false, received true/],
    ["padding outside", { pad_token_id: 11 }, /pad_token_id +expected an id below vocab_size/],
    ["dropout of one", { hidden_dropout_prob: 1 }, /hidden_dropout_prob +expected at most 0.999, received 1/],
    ["pooling unknown", { permafrost_pooling: "max" }, /permafrost_pooling +expected "cls" or "mean"/],
    ["another family", { model_type: "roberta" }, /model_type +expected one of bert, received "roberta"/],
    ["a name of the prototype", { model_type: "constructor" }, /expected one of bert/],
    ["no family", { model_type: undefined }, /received nothing; is it the folder/],
  ];
  test.each(cases)("%s", async (_, config, says) => {
    expect((await failure(await tinyFolder(fresh(), config))).message).toMatch(says);
  });

  test("every problem at once", async () => {
    const error = await failure(
      await tinyFolder(fresh(), { vocab_size: -1, hidden_act: "relu", is_decoder: true }),
    );
    expect(error.code).toBe("ERR_CONFIG");
    expect(error.issues.map((issue) => issue.path)).toEqual(["vocab_size", "hidden_act", "is_decoder"]);
  });

  test("no folder, no file, no JSON, no object", async () => {
    const dir = fresh();
    expect((await failure(dir)).code).toBe("ERR_MODEL_FOLDER");
    mkdirSync(dir);
    expect((await failure(dir)).message).toContain("no such file");
    for (const text of ["{", "[]", "null"]) {
      writeFileSync(path.join(dir, "config.json"), text);
      expect((await failure(dir)).code).toBe("ERR_CONFIG");
    }
  });

  const labels: readonly [string, Readonly<Record<string, unknown>>, RegExp][] = [
    [
      "ids with a gap",
      { id2label: { 0: "a", 2: "b" } },
      /id2label.1 +expected a name for each class, 0 to 1/,
    ],
    ["ids from 1", { id2label: { 1: "a", 2: "b" } }, /id2label.0/],
    ["a list", { id2label: ["a", "b"] }, /id2label +expected an object/],
    ["a name twice", { id2label: { 0: "a", 1: "a" } }, /"a" twice/],
    [
      "too many",
      { id2label: { 0: "a", 1: "b", 2: "c" } },
      /id2label +expected 2 classes, the rows of classifier.weight, received 3/,
    ],
    [
      "label2id that disagrees",
      { id2label: { 0: "a", 1: "b" }, label2id: { a: 1, b: 0 } },
      /label2id.a +expected 0, as in id2label, received 1/,
    ],
    ["label2id with more", { id2label: { 0: "a", 1: "b" }, label2id: { a: 0, b: 1, c: 2 } }, /2 names/],
    ["num_labels", { num_labels: 5 }, /num_labels +expected 2, received 5/],
    ["regression", { problem_type: "regression" }, /problem_type.*not supported yet/],
  ];
  test.each(labels)("a classifier of 2 with %s", async (_, config, says) => {
    const error = await failure(await tinyFolder(fresh(), config, tinyTensors(2)));
    expect(error.code).toBe("ERR_CONFIG");
    expect(error.message).toMatch(says);
  });
});

test("where another classifier is made, one of a regression is left out with a notice", async () => {
  const dir = await tinyFolder(fresh(), { problem_type: "regression" }, tinyTensors(2));
  const { labels, notices } = await loadModelFolder(dir, { classifier: "optional" });
  expect(labels).toBeNull();
  expect(notices).toEqual([expect.stringMatching(/the classifier there is left out: problem_type/)]);
});

describe("weights are refused", () => {
  test("missing and misshapen tensors, all at once", async () => {
    const tensors = changed({
      "encoder.layer.1.output.dense.weight": null,
      "embeddings.LayerNorm.weight": { shape: [9], data: new Float32Array(9) },
    });
    const error = await failure(await tinyFolder(fresh(), {}, tensors));
    expect(error.code).toBe("ERR_TENSORS");
    expect(error.message).toMatch(
      /embeddings.LayerNorm.weight +expected shape \[8\], received \[9\] in model.safetensors/,
    );
    expect(error.message).toMatch(
      /encoder.layer.1.output.dense.weight +expected a tensor \[8, 12\], received none/,
    );
  });

  test("half a classifier, and one name twice after renaming", async () => {
    expect(
      (await failure(await tinyFolder(fresh(), {}, changed({ "classifier.bias": null }, 2)))).message,
    ).toContain("half a classifier");
    const twice = [
      ...tinyTensors(),
      { name: "bert.pooler.dense.bias", shape: [8], data: new Float32Array(8) },
    ];
    expect((await failure(await tinyFolder(fresh(), {}, twice))).message).toContain(
      "two tensors of one name",
    );
  });

  test("a folder without weights, and one with pickles only", async () => {
    const dir = await tinyFolder(fresh(), {}, null);
    expect((await failure(dir)).code).toBe("ERR_NO_WEIGHTS");
    writeFileSync(path.join(dir, "pytorch_model.bin"), "never opened");
    const error = await failure(dir);
    expect(error.code).toBe("ERR_PICKLE");
    expect(error.message).toMatch(/pytorch_model.bin .*save_pretrained/);
  });
});

describe("shards", () => {
  /** A sharded tiny model; `index` may lie. */
  async function sharded(index: (map: Record<string, string>) => void = () => {}): Promise<string> {
    const dir = await tinyFolder(fresh(), {}, null);
    const map: Record<string, string> = {};
    const shards: [Tensor[], Tensor[]] = [[], []];
    for (const [i, tensor] of tinyTensors().entries()) {
      shards[i % 2]!.push(tensor);
      map[tensor.name] = `model-0000${(i % 2) + 1}-of-00002.safetensors`;
    }
    for (const i of [0, 1])
      await writeSafetensors(path.join(dir, `model-0000${i + 1}-of-00002.safetensors`), shards[i]!);
    index(map);
    writeFileSync(
      path.join(dir, "model.safetensors.index.json"),
      JSON.stringify({ metadata: {}, weight_map: map }),
    );
    return dir;
  }

  test("are one model", async () => {
    const whole = await loadModelFolder(await tinyFolder(fresh()));
    expect(await hashOf(await loadModelFolder(await sharded()))).toBe(await hashOf(whole));
  });

  test.each([
    ["../outside.safetensors", "leaves the folder"],
    ["a/../../x", "leaves the folder"],
    ["/etc/passwd", "absolute"],
    ["C:\\x", "absolute"],
    ["C:x", "absolute"],
    ["..\\x", "leaves the folder"],
    ["a\0b", "NUL"],
    ["", "empty"],
  ])("named %j are refused before anything is opened", async (name, why) => {
    const dir = await sharded((map) => {
      map["pooler.dense.bias"] = name;
    });
    const error = await failure(dir);
    expect(error.code).toBe("ERR_UNSAFE_PATH");
    expect(error.message).toContain(why);
  });

  test("that are links out of the folder are refused, but not in Hugging Face's cache", async () => {
    const name = "model-00002-of-00002.safetensors";
    const dir = await sharded();
    const outside = path.join(base, "outside.safetensors");
    await writeSafetensors(
      outside,
      tinyTensors().filter((_, i) => i % 2 === 1),
    );
    rmSync(path.join(dir, name));
    symlinkSync(outside, path.join(dir, name));
    expect((await failure(dir)).code).toBe("ERR_UNSAFE_PATH");

    const cache = path.join(base, "models--x--y");
    mkdirSync(path.join(cache, "snapshots"), { recursive: true });
    mkdirSync(path.join(cache, "blobs"));
    const snapshot = path.join(cache, "snapshots", "abc");
    const { renameSync } = await import("node:fs");
    renameSync(await sharded(), snapshot);
    renameSync(path.join(snapshot, name), path.join(cache, "blobs", "123"));
    symlinkSync("../../blobs/123", path.join(snapshot, name));
    expect((await loadModelFolder(snapshot)).tensors.size).toBe(39);
  });

  test("missing, tensors absent, in two shards or in another one: all in one error", async () => {
    const missing = await failure(
      await sharded((map) => {
        map["pooler.dense.bias"] = "model-00009-of-00002.safetensors";
        map["no.such.tensor"] = "model-00001-of-00002.safetensors";
      }),
    );
    expect(missing.code).toBe("ERR_INDEX");
    expect(missing.issues.map((issue) => issue.path)).toEqual([
      "model-00009-of-00002.safetensors",
      "no.such.tensor",
    ]);

    const dir = await sharded();
    await writeSafetensors(path.join(dir, "model-00002-of-00002.safetensors"), tinyTensors().slice(0, 30));
    const twice = await failure(dir);
    expect(twice.message).toMatch(/expected each tensor in one shard/);
    expect(twice.message).toMatch(/received not there/);
  });

  test("an index that is no index", async () => {
    const dir = await tinyFolder(fresh(), {}, null);
    for (const text of ["{", "null", '{"weight_map":{}}', '{"weight_map":{"a":1}}']) {
      writeFileSync(path.join(dir, "model.safetensors.index.json"), text);
      expect((await failure(dir)).code).toBe("ERR_INDEX");
    }
  });
});

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const real = (name: string, ...places: string[]) => {
  const found = places
    .map((place) => path.join(repository, place))
    .find((dir) => existsSync(path.join(dir, "model.safetensors")));
  if (!found) process.stderr.write(`${name}: skipped, the model is not there\n`);
  return found;
};
const minilm = real("minilm-l6", "packages/demo/model", "../shared/models/minilm-l6");
const bge = real("bge-small", "../shared/models/bge-small-en-v1.5");

describe("real models", () => {
  test.skipIf(!minilm)("minilm-l6: only the classifier is new", async () => {
    const folder = await loadModelFolder(minilm!, { strict: true });
    expect([folder.tensors.size, folder.notices, folder.labels]).toEqual([103, [], null]);
    expect(await hashOf(folder)).toBe("4341bb4528137493c313972015b13506b236c7ab738090fc934717c8900c7a80");
    expect(initialiseModel(folder, ["a", "b"], 1).initialised).toEqual([
      "classifier.weight",
      "classifier.bias",
    ]);
  });

  test.skipIf(!bge)("bge-small: the pooler is new too, and said so; mean pooling needs none", async () => {
    const folder = await loadModelFolder(bge!, { strict: true });
    expect([folder.tensors.size, folder.notices]).toEqual([197, []]);
    const { initialised, notice } = initialiseModel(folder, ["a", "b"], 1);
    expect(initialised).toEqual([
      "pooler.dense.weight",
      "pooler.dense.bias",
      "classifier.weight",
      "classifier.bias",
    ]);
    expect(notice).toContain("pooler.dense.weight");
    const mean = await loadModelFolder(bge!, { pooling: "mean" });
    expect(initialiseModel(mean, ["a", "b"], 1).initialised).toEqual([
      "classifier.weight",
      "classifier.bias",
    ]);
  });
});
