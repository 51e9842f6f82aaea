// cases.mjs — what is timed. Shapes are those of Hugging Face's configs.

export const shapes = {
  "minilm-l6": { hidden: 384, layers: 6, heads: 12, ffn: 1536, vocab: 30522 },
  "bert-base": { hidden: 768, layers: 12, heads: 12, ffn: 3072, vocab: 30522 },
  tiny: { hidden: 128, layers: 2, heads: 4, ffn: 512, vocab: 1000 },
};

/** `frozen`: embeddings and the bottom k layers. `lengths`: fixed, or the demo's banking questions ("banking"). */
export const cases = {
  "minilm-16x128": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 0, dropout: 0 },
  "minilm-16x128-dropout": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 0, dropout: 0.1 },
  "minilm-16x128-bf16": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 0, dropout: 0, precision: "bf16" },
  "minilm-16x128-frozen3": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 3, dropout: 0 },
  "minilm-16x128-frozen5": { shape: "minilm-l6", batch: 16, lengths: 128, frozen: 5, dropout: 0 },
  "minilm-banking": { shape: "minilm-l6", batch: 16, lengths: "banking", frozen: 0, dropout: 0 },
  "minilm-banking-dropout": { shape: "minilm-l6", batch: 16, lengths: "banking", frozen: 0, dropout: 0.1 },
  "minilm-banking-bf16": { shape: "minilm-l6", batch: 16, lengths: "banking", frozen: 0, dropout: 0, precision: "bf16" },
  "minilm-banking-frozen4": { shape: "minilm-l6", batch: 16, lengths: "banking", frozen: 4, dropout: 0 },
  "bert-base-16x128": { shape: "bert-base", batch: 16, lengths: 128, frozen: 0, dropout: 0, steps: 2 },
  "bert-base-16x128-bf16": { shape: "bert-base", batch: 16, lengths: 128, frozen: 0, dropout: 0, steps: 2, precision: "bf16" },
  "bert-base-16x128-frozen11": { shape: "bert-base", batch: 16, lengths: 128, frozen: 11, dropout: 0, steps: 3 },
  "tiny-8x64": { shape: "tiny", batch: 8, lengths: 64, frozen: 0, dropout: 0, contenders: ["permafrost", "torch", "tfjs"] },
};

/** Token counts of the 192 training questions of permafrost-demo, [CLS] and [SEP] included, in file order. */
export function lengthsOf(spec, count, bankingLengths) {
  return Array.from({ length: count }, (_, i) =>
    spec.lengths === "banking" ? bankingLengths[i % bankingLengths.length] : spec.lengths,
  );
}

/** The same pseudo-random tokens for every contender: an LCG, ids in [5, vocab). */
export function tokens(count, vocab, seed = 1) {
  let state = seed >>> 0;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 5 + (state >>> 8) % (vocab - 5);
  });
}
