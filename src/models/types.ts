/** A named fp32 tensor in memory, row-major. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The BERT family: post-LayerNorm encoder with token types. Field names are those of Hugging Face's config.json. */
export interface BertConfig {
  readonly model_type: "bert";
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
  readonly layer_norm_eps: number;
  /** Only the erf form ("gelu") for now. */
  readonly hidden_act: "gelu";
  readonly hidden_dropout_prob: number;
  readonly attention_probs_dropout_prob: number;
  /** null: hidden_dropout_prob is used, as in BertForSequenceClassification. */
  readonly classifier_dropout: number | null;
  readonly initializer_range: number;
  /** Its embedding row gets no gradient; -1 (null in the file): there is none. */
  readonly pad_token_id: number;
}

/** How token states become one vector: BERT's pooler on the first token, or the mean over tokens (no pooler). */
export type Pooling = "cls" | "mean";

/** What a Hugging Face folder holds, checked and in memory. */
export interface ModelFolder {
  readonly path: string;
  readonly config: BertConfig;
  /** config.json as read, every key kept: the export starts from it. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  /** Names without the `bert.` prefix: `embeddings.word_embeddings.weight`, `encoder.layer.0.…`, `pooler.dense.weight`, `classifier.weight`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Class names when the folder is a trained classifier (id2label of as many classes as the classifier has rows), else null. */
  readonly labels: readonly string[] | null;
  readonly pooling: Pooling;
  /** Tokens its training cut texts at (`permafrost_max_length` of config.json); null when config.json does not say. */
  readonly maxLength: number | null;
  /** Human-readable notices: tensors in the file that are not used, auto_map ignored, NaN in weights, … */
  readonly notices: readonly string[];
}
