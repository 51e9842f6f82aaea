/** A trained classifier, loaded for inference. */

import { setImmediate } from "node:timers/promises";
import { type EncodedSlice, encodeSlice, joinSlices } from "./data/encode.js";
import { placeOf } from "./data/rows.js";
import { datasetOfTexts, type TextInput } from "./data/texts.js";
import type { Tokenizer } from "./data/tokenizer.js";
import type { Dataset } from "./data/types.js";
import { ConfigError, ModelError } from "./errors.js";
import { initialiseModel } from "./models/init.js";
import type { ModelFolder } from "./models/types.js";
import { type Asked, Batcher, type Next } from "./native/batcher.js";
import type { EvaluateResults } from "./native/contract.js";
import { NativeModel } from "./native/model.js";
import type { NativeSession } from "./native/session.js";
import { coreSpec, type MachineOptions } from "./train/core-spec.js";
import { argmaxRows, softmax } from "./train/metrics.js";
import { type FolderOptions, openFolder } from "./train/open-folder.js";

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

/** Tokens that are computed between two looks at who else waits: what the core takes at once (kBatchTokens in session.cc). */
const SLICE_TOKENS = 2048;

/** Most tokens of requests that are computed together: past some hundreds a token costs the same. */
const JOINED_TOKENS = 512;

/** What a request asks for at its turn: the slice that begins at row `from`. */
interface Rows {
  readonly dataset: Dataset;
  readonly from: number;
  readonly hiddenStates: boolean;
  /** Set when they are tokenised, perhaps before their turn. */
  encoded?: EncodedSlice;
}

/** Consecutive rows of a request. */
interface Slice {
  /** Shape (rows, classes). */
  readonly logits: Float32Array;
  /** Shape (tokens, hidden); null when not asked for. */
  readonly hiddenStates: Float32Array | null;
  /** Shape (rows + 1), as of `HiddenStates`. */
  readonly offsets: Int32Array;
}

export interface LoadModelConfig extends FolderOptions, Omit<MachineOptions, "cache" | "cacheGib"> {}

/**
 * Made by `loadModel`. Dispose it to free the core's memory; idempotent.
 *
 * Requests take turns, a slice of rows each; small ones that wait next to each other, predictions or hidden states, are computed
 * together. One that waits holds its texts and nothing of the core's memory, and a small one waits for at most a slice of each
 * before it. What a row gives does not depend on the rows beside it.
 */
export class Model implements AsyncDisposable {
  readonly #ofFolder: readonly string[];
  readonly #batcher = new Batcher<Rows, Slice>((next, signal) => this.#evaluate(next, signal));
  /** Made by the first request: megabytes of activations, and the weights packed. */
  #session: NativeSession | undefined;
  #disposed = false;
  #texts = 0;
  #cut = 0;

  private constructor(
    private readonly hiddenSize: number,
    private readonly tokenizer: Tokenizer,
    private readonly config: LoadModelConfig & { readonly maxLength: number },
    private readonly native: NativeModel,
    /** Class names in the order of the logits. */
    readonly labels: readonly string[],
    notices: readonly string[],
  ) {
    this.#ofFolder = notices;
  }

  /**
   * `loadModel` with every option given.
   *
   * @internal
   * @throws ModelError, also when the folder is no trained classifier; ConfigError ERR_MAX_LENGTH, or ERR_POOLING when
   *   `pooling` is not what the classifier was trained on.
   */
  static async load(config: LoadModelConfig): Promise<Model> {
    // The pooling is the folder's: another one would feed the classifier what it never saw.
    const { folder, tokenizer, maxLength, notices } = await openFolder({ ...config, pooling: undefined });
    const labels = trainedLabels(folder);
    if (config.pooling && config.pooling !== folder.pooling) {
      throw new ConfigError("ERR_POOLING", `${config.model}: trained with another pooling`, [
        { path: "pooling", expected: `${folder.pooling}, or not given`, received: config.pooling },
      ]);
    }
    const { tensors, initialised } = initialiseModel(folder, labels, 0);
    if (initialised.length > 0) {
      throw new ModelError("ERR_NO_CLASSIFIER", `${config.model}: cannot predict`, [
        { path: initialised.join(", "), expected: "trained weights", received: "none in the folder" },
      ]);
    }
    const native = await NativeModel.create(
      coreSpec(folder, labels.length, config),
      Object.fromEntries([...tensors].map(([name, { data }]) => [name, data])),
    );
    // Of the folder no more than that: its weights are the core's now.
    return new Model(folder.config.hidden_size, tokenizer, { ...config, maxLength }, native, labels, notices);
  }

  /** A sentence each: what is odd about the folder and its tokenizer, and how many of the texts so far were cut. */
  get notices(): readonly string[] {
    if (this.#cut === 0) return this.#ofFolder;
    const cut = `${this.#cut} of ${this.#texts} texts were cut at ${this.config.maxLength} tokens`;
    return [...this.#ofFolder, cut];
  }

  /**
   * One prediction per text or pair, in order.
   *
   * @throws ConfigError ERR_TEXTS, ERR_DISPOSED; DataError; ModelError ERR_NON_FINITE when a logit is no number; the
   *   signal's reason on abort.
   */
  async predict(
    texts: readonly TextInput[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Prediction[]> {
    if (this.#isNothing(texts, options.signal)) return [];
    const predictions: Prediction[] = [];
    for await (const slice of this.predictSlices(datasetOfTexts(texts), options.signal))
      predictions.push(...slice);
    return predictions;
  }

  /** The same for the rows of a file that was read, slice by slice as they are done; labels are not looked at. @internal */
  async *predictSlices(dataset: Dataset, signal?: AbortSignal): AsyncGenerator<Prediction[]> {
    const classes = this.labels.length;
    for await (const { logits } of this.#slices(dataset, false, signal)) {
      yield Array.from(argmaxRows(logits, classes), (best, row) => {
        const own = logits.slice(row * classes, (row + 1) * classes);
        return { label: this.labels[best]!, score: softmax(own)[best]!, logits: own };
      });
    }
  }

  /** Last hidden states, for `permafrost/tfjs` or a search index. Throws as `predict` does. */
  async hiddenStates(
    texts: readonly TextInput[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<HiddenStates> {
    const { hiddenSize } = this;
    if (this.#isNothing(texts, options.signal))
      return { hiddenStates: new Float32Array(), offsets: Int32Array.of(0), hiddenSize };
    const slices: Slice[] = [];
    for await (const slice of this.#slices(datasetOfTexts(texts), true, options.signal)) slices.push(slice);
    return { ...joined(slices), hiddenSize };
  }

  /** A service's empty request is answered, not refused, while a dataset needs rows. */
  #isNothing(texts: readonly TextInput[], signal?: AbortSignal): boolean {
    this.#requireLive();
    signal?.throwIfAborted();
    return Array.isArray(texts) && texts.length === 0;
  }

  /** Each slice at its turn. */
  async *#slices(dataset: Dataset, hiddenStates: boolean, signal?: AbortSignal): AsyncGenerator<Slice> {
    for (let from = 0; from < dataset.examples.length; ) {
      this.#requireLive();
      const slice = await this.#batcher.ask({ dataset, from, hiddenStates }, signal);
      this.#requireFinite(slice.logits, dataset, from);
      from += slice.offsets.length - 1;
      yield slice;
    }
  }

  /** Some that wait: tokenised, copied in, computed, freed. */
  async #evaluate(next: Next<Rows, Slice>, signal: AbortSignal): Promise<void> {
    await setImmediate(); // tokenising holds the event loop: what came meanwhile goes first
    const parts = this.#takeSome(next);
    if (parts.length === 0) return;
    this.#session ??= await this.#createSession();
    const index = await this.native.addDataset(joinSlices(parts.map(({ question }) => question.encoded!)));
    let results: EvaluateResults;
    try {
      const { hiddenStates } = parts[0]!.question;
      results = await this.#session.evaluate({ lane: 0, dataset: index, hiddenStates }, signal);
    } finally {
      if (!this.#disposed) await this.native.removeDataset(index);
    }
    let [row, token] = [0, 0];
    for (const part of parts) {
      const { offsets } = part.question.encoded!;
      const [rows, tokens] = [offsets.length - 1, offsets.at(-1)!];
      const own = (values: Float32Array, from: number, count: number, width: number) =>
        parts.length === 1 ? values : values.slice(from * width, (from + count) * width);
      part.answer({
        logits: own(results.logits, row, rows, this.labels.length),
        hiddenStates: results.hiddenStates && own(results.hiddenStates, token, tokens, this.hiddenSize),
        offsets,
      });
      [row, token] = [row + rows, token + tokens];
    }
  }

  /** The first that waits, and its neighbours of the same kind as long as all are small. Who cannot be tokenised is refused. */
  #takeSome(next: Next<Rows, Slice>): Asked<Rows, Slice>[] {
    const parts: Asked<Rows, Slice>[] = [];
    let tokens = 0;
    for (let asked = next(); asked; asked = next()) {
      const { question } = asked;
      const { dataset, from, hiddenStates } = question;
      const first = parts[0]?.question;
      const fits = (more: number) => !first || tokens + more <= JOINED_TOKENS;
      // A row has a token at least: many rows need not be tokenised to know.
      if (!fits(dataset.examples.length - from) || (first && hiddenStates !== first.hiddenStates)) break;
      try {
        question.encoded ??= encodeSlice(this.tokenizer, dataset, this.config.maxLength, from, SLICE_TOKENS);
      } catch (error) {
        asked.refuse(error);
        continue;
      }
      const { offsets, truncated } = question.encoded;
      if (!fits(offsets.at(-1)!)) break;
      asked.take();
      parts.push(asked);
      tokens += offsets.at(-1)!;
      this.#texts += offsets.length - 1;
      this.#cut += truncated;
    }
    return parts;
  }

  #requireLive(): void {
    if (this.#disposed) throw disposedError();
  }

  /** @param from the row of the dataset that the first logits are of. */
  #requireFinite(logits: Float32Array, dataset: Dataset, from: number): void {
    const at = logits.findIndex((logit) => !Number.isFinite(logit));
    if (at < 0) return;
    const classes = this.labels.length;
    const row = from + Math.floor(at / classes);
    throw new ModelError("ERR_NON_FINITE", `${this.config.model}: cannot predict`, [
      {
        path: placeOf(dataset, row),
        expected: "finite logits",
        received: `${logits[at]} as the logit of "${this.labels[at % classes]}"`,
        hint:
          this.#ofFolder.find((notice) => notice.startsWith("NaN")) ??
          "the weights are too large for the precision",
      },
    ]);
  }

  #createSession(): Promise<NativeSession> {
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
    return this.native.createSession([lane], {
      precision: this.config.precision,
      cache: "off",
      packWeights: true,
    });
  }

  /** Work that is going on and requests that wait reject with ERR_DISPOSED. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#batcher.refuseAll(disposedError());
    await this.native.dispose();
  }
}

function disposedError(): ConfigError {
  return new ConfigError("ERR_DISPOSED", "the model was disposed", [
    { path: "model", expected: "a live model", received: "a disposed one" },
  ]);
}

/** The hidden states of consecutive slices, as if they were one. */
function joined(slices: readonly Slice[]): Omit<HiddenStates, "hiddenSize"> {
  const rows = slices.reduce((sum, { offsets }) => sum + offsets.length - 1, 0);
  const values = slices.reduce((sum, slice) => sum + slice.hiddenStates!.length, 0);
  const hiddenStates = new Float32Array(values);
  const offsets = new Int32Array(rows + 1);
  let [row, value] = [0, 0];
  for (const slice of slices) {
    hiddenStates.set(slice.hiddenStates!, value);
    value += slice.hiddenStates!.length;
    const tokens = offsets[row]!;
    for (const end of slice.offsets.subarray(1)) offsets[++row] = tokens + end;
  }
  return { hiddenStates, offsets };
}

function trainedLabels({ labels, path }: ModelFolder): readonly string[] {
  if (labels) return labels;
  throw new ModelError("ERR_NO_CLASSIFIER", `${path}: cannot predict`, [
    {
      path: "classifier.weight",
      expected: "a trained classifier",
      received: "none in the weights",
      hint: "train one with permafrost train or permafrost search",
    },
  ]);
}
