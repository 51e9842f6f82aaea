import { existsSync, statfsSync } from "node:fs";
import os from "node:os";
import { afterEach, expect, test, vi } from "vitest";
import { coreCacheBudget, coreSpec } from "../../../src/train/core-spec.js";

afterEach(() => vi.unstubAllEnvs());

test("the cache's memory, and a file of eight times as much; none when it is off", () => {
  const budget = (cache: "auto" | "off") =>
    coreCacheBudget({ precision: "fp32", isa: "auto", cache, cacheGib: 0.5 });
  expect(budget("auto")).toMatchObject({ cacheBytes: 2 ** 29, cacheFileBytes: 2 ** 32 });
  expect(budget("off")).toMatchObject({ cacheBytes: 0, cacheFileBytes: 0 });
});

test("by default 1 GiB, or an eighth of the memory where that is less", () => {
  const bytes = (gib: number) =>
    coreCacheBudget({ precision: "fp32", isa: "auto", cache: "auto" }, gib * 2 ** 30).cacheBytes;
  expect([bytes(64), bytes(8), bytes(2)]).toEqual([2 ** 30, 2 ** 30, 2 ** 28]);
});

const TMPFS = 0x01021994;
const shm = process.platform === "linux" && existsSync("/dev/shm") && statfsSync("/dev/shm").type === TMPFS;

test.skipIf(!shm)("that file is not put where temporary files are memory", () => {
  vi.stubEnv("TMPDIR", "/dev/shm");
  expect(os.tmpdir()).toBe("/dev/shm");
  const { cacheDirectory } = coreCacheBudget({ precision: "fp32", isa: "auto", cache: "auto", cacheGib: 1 });
  expect(["/var/tmp", ""]).toContain(cacheDirectory);
});

test("each field of config.json is the one of its name in the core", () => {
  const config = {
    ...{
      vocab_size: 11,
      hidden_size: 24,
      num_hidden_layers: 3,
      num_attention_heads: 2,
      intermediate_size: 40,
    },
    ...{ max_position_embeddings: 17, type_vocab_size: 4, layer_norm_eps: 1e-7, pad_token_id: 5 },
    ...{ hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.2, classifier_dropout: 0.3 },
  };
  const of = (changed: Partial<typeof config> | { classifier_dropout: null }) =>
    coreSpec({ config: { ...config, ...changed } as never, pooling: "mean" }, 7, {
      threads: 3,
      isa: "portable",
    });
  expect(of({})).toEqual({
    ...{ vocabSize: 11, hiddenSize: 24, numLayers: 3, numHeads: 2, intermediateSize: 40, maxPositions: 17 },
    ...{ typeVocabSize: 4, layerNormEps: 1e-7, padTokenId: 5, numLabels: 7, pooling: "mean" },
    ...{ hiddenDropout: 0.1, attentionDropout: 0.2, classifierDropout: 0.3 },
    ...{ threads: 3, isa: "portable", cacheBytes: 0 },
  });
  expect(of({ classifier_dropout: null }).classifierDropout).toBe(0.1);
});
