// cases.mjs — what is timed; shapes are named in ../support.mjs.

/** `frozen`: embeddings and the bottom k layers. `lengths`: fixed, or the demo's banking questions ("banking"). */
export const cases = {
  "minilm-16x128": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 0, dropout: 0 },
  "minilm-16x128-dropout": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 0, dropout: 0.1 },
  "minilm-16x128-bf16": {
    shape: "minilm-l6",
    batch: 16,
    lengths: 128,
    frozen: 0,
    dropout: 0,
    precision: "bf16",
  },
  "minilm-16x128-frozen3": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 3, dropout: 0 },
  "minilm-16x128-frozen5": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 5, dropout: 0 },
  "minilm-banking": { shape: "minilm-l6", batch: 16, lengths: "banking", frozen: 0, dropout: 0 },
  "minilm-banking-dropout": { shape: "minilm-l6", batch: 16, lengths: "banking", frozen: 0, dropout: 0.1 },
  "minilm-banking-bf16": {
    shape: "minilm-l6",
    batch: 16,
    lengths: "banking",
    frozen: 0,
    dropout: 0,
    precision: "bf16",
  },
  "minilm-banking-frozen4": { shape: "minilm-l6", batch: 16, lengths: "banking", frozen: 4, dropout: 0 },
  "bert-base-16x128": { shape: "bert-base", batch: 16, lengths: 128, frozen: 0, dropout: 0, steps: 2 },
  "bert-base-16x128-bf16": {
    shape: "bert-base",
    batch: 16,
    lengths: 128,
    frozen: 0,
    dropout: 0,
    steps: 2,
    precision: "bf16",
  },
  "bert-base-16x128-frozen11": {
    shape: "bert-base",
    batch: 16,
    lengths: 128,
    frozen: 11,
    dropout: 0,
    steps: 3,
  },
  "bert-base-16x128-frozen11-bf16": {
    shape: "bert-base",
    batch: 16,
    lengths: 128,
    frozen: 11,
    dropout: 0,
    steps: 3,
    precision: "bf16",
  },
  "minilm-16x128-inference": {
    shape: "minilm-l6",
    batch: 16,
    lengths: 128,
    frozen: 0,
    dropout: 0,
    mode: "inference",
  },
  "minilm-banking-inference": {
    shape: "minilm-l6",
    batch: 16,
    lengths: "banking",
    frozen: 0,
    dropout: 0,
    mode: "inference",
  },
  "minilm-1x14-inference": {
    shape: "minilm-l6",
    batch: 1,
    lengths: 14,
    frozen: 0,
    dropout: 0,
    mode: "inference",
    steps: 20,
  },
  "tiny-8x64": {
    shape: "tiny",
    batch: 8,
    lengths: 64,
    frozen: 0,
    dropout: 0,
    contenders: ["permafrost", "torch", "tfjs"],
  },
};

/** Token counts of the 192 training questions of permafrost-demo, [CLS] and [SEP] included, in file order. */
export function lengthsOf(spec, count, bankingLengths) {
  return Array.from({ length: count }, (_, i) =>
    spec.lengths === "banking" ? bankingLengths[i % bankingLengths.length] : spec.lengths,
  );
}
