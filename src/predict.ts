/** A trained classifier, loaded for inference. */

import { encodeDataset } from "./data/encode.js";
import { datasetOf } from "./data/reader.js";
import { loadTokenizer, type Tokenizer } from "./data/tokenizer.js";
import type { Dataset } from "./data/types.js";
import { ConfigError, ModelError } from "./errors.js";
import { loadModelFolder } from "./models/folder.js";
import { initialiseModel } from "./models/init.js";
import type { ModelFolder } from "./models/types.js";
import { NativeModel } from "./native/model.js";
import type { NativeSession } from "./native/session.js";
import { coreSpec, type MachineOptions } from "./train/core-spec.js";
import { argmaxRows, softmax } from "./train/metrics.js";

/** A text, or a pair of texts. */
export type TextInput = string | { readonly text: string; readonly textB?: string };

export interface Prediction {
  /** Class name of the largest logit. */
  readonly label: string;
  /** Its softmax probability, in (0, 1]. */
  readonly score: number;
  /** Shape (classes), in the order of `Model.labels`. */
  readonly logits: Float32Array;
}

/** The last hidden state of every token of some texts, packed; `permafrost/tfjs` makes tensors of it. */
export interface HiddenStates {
  /** Row-major, shape (tokens, hidden). */
  readonly hiddenStates: Float32Array;
  /** Shape (texts + 1), from 0 to tokens: text i is tokens [offsets[i], offsets[i+1]), special tokens included. */
  readonly offsets: Int32Array;
  readonly hiddenSize: number;
}

export interface LoadModelConfig extends MachineOptions {
  readonly model: string;
  readonly strict: boolean;
  readonly maxLength: number;
  readonly pooling?: "cls" | "mean" | undefined;
}

/** Made by `loadModel`. Dispose it to free the core's memory; idempotent. */
export class Model implements AsyncDisposable {
  #disposed = false;

  private constructor(
    private readonly folder: ModelFolder,
    private readonly tokenizer: Tokenizer,
    private readonly config: LoadModelConfig,
    private readonly native: NativeModel,
    /** Class names in the order of the logits. */
    readonly labels: readonly string[],
  ) {}

  /** @throws ModelError, also when the folder is no trained classifier. */
  static async load(config: LoadModelConfig): Promise<Model> {
    const { strict, pooling } = config;
    const folder = await loadModelFolder(config.model, { strict, ...(pooling ? { pooling } : {}) });
    if (!folder.labels) {
      throw new ModelError("ERR_NO_CLASSIFIER", `${config.model}: cannot predict`, [
        {
          path: "classifier.weight",
          expected: "a trained classifier",
          received: "none in the weights",
          hint: "train one with permafrost train or permafrost search",
        },
      ]);
    }
    const { tensors, initialised } = initialiseModel(folder, folder.labels, 0);
    if (initialised.length > 0) {
      throw new ModelError("ERR_NO_CLASSIFIER", `${config.model}: cannot predict`, [
        { path: initialised.join(", "), expected: "trained weights", received: "none in the folder" },
      ]);
    }
    const tokenizer = await loadTokenizer(folder.path, {
      vocabSize: folder.config.vocab_size,
      typeVocabSize: folder.config.type_vocab_size,
    });
    const native = await NativeModel.create(
      coreSpec(folder, folder.labels.length, config),
      Object.fromEntries([...tensors].map(([name, { data }]) => [name, data])),
    );
    return new Model(folder, tokenizer, config, native, folder.labels);
  }

  /** One prediction per text, in order. */
  async predict(
    texts: readonly TextInput[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Prediction[]> {
    if (texts.length === 0) return [];
    const rows = texts.map((t) =>
      typeof t === "string"
        ? { text: t }
        : { text: t.text, ...(t.textB === undefined ? {} : { text_b: t.textB }) },
    );
    return this.predictDataset(datasetOf("texts", rows, { requireLabels: false }), options.signal);
  }

  /** The same for the rows of a file that was read with `readDataset`; labels there are not looked at. */
  async predictDataset(dataset: Dataset, signal?: AbortSignal): Promise<Prediction[]> {
    const { logits } = await this.#evaluate(dataset, false, signal);
    const classes = this.labels.length;
    return Array.from(argmaxRows(logits, classes), (best, row) => {
      const own = logits.slice(row * classes, (row + 1) * classes);
      return { label: this.labels[best]!, score: softmax(own)[best]!, logits: own };
    });
  }

  /** Last hidden states, for `permafrost/tfjs` or a search index. */
  async hiddenStates(
    texts: readonly string[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<HiddenStates> {
    const dataset = datasetOf(
      "texts",
      texts.map((text) => ({ text })),
      { requireLabels: false },
    );
    const { hidden, offsets } = await this.#evaluate(dataset, true, options.signal);
    return { hiddenStates: hidden!, offsets, hiddenSize: this.folder.config.hidden_size };
  }

  async #evaluate(dataset: Dataset, hiddenStates: boolean, signal?: AbortSignal) {
    if (this.#disposed) {
      throw new ConfigError("ERR_DISPOSED", "the model was disposed", [
        { path: "model", expected: "a live model", received: "a disposed one" },
      ]);
    }
    const encoded = encodeDataset(this.tokenizer, dataset, null, this.config.maxLength);
    const index = await this.native.addDataset(encoded);
    try {
      await using session = await this.#session();
      const { logits, hiddenStates: hidden } = await session.evaluate(
        { lane: 0, dataset: index, hiddenStates },
        signal,
      );
      return { logits, hidden, offsets: encoded.offsets };
    } finally {
      await this.native.removeDataset(index);
    }
  }

  #session(): Promise<NativeSession> {
    const { groups } = this.native.description;
    // A lane must train something; the head is the smallest copy, and it is never stepped.
    const trainable = groups.map((_, i) => i === groups.length - 1);
    const lane = {
      trainable,
      seed: 0,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
      maxGradNorm: 0,
      labelSmoothing: 0,
      dropout: false,
    };
    return this.native.createSession([lane], { precision: this.config.precision, cache: "off" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.native.dispose();
  }
}
