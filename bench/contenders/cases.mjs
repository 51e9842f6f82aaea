// cases.mjs — what is timed; shapes are named in ../support.mjs.

const step = (shape, lengths, more) => ({ shape, batch: 16, lengths, frozen: 0, dropout: 0, ...more });
const minilm = (lengths, more) => step("minilm-l6", lengths, more);
const bert = (more) => step("bert-base", 128, { steps: more?.frozen ? 3 : 2, ...more });
const [bf16, dropout, inference] = [{ precision: "bf16" }, { dropout: 0.1 }, { mode: "inference" }];

/** `frozen`: embeddings and the bottom k layers. `lengths`: fixed, or the demo's banking questions ("banking"). */
export const cases = {
  "minilm-16x128": minilm(128),
  "minilm-16x128-dropout": minilm(128, dropout),
  "minilm-16x128-bf16": minilm(128, bf16),
  "minilm-16x128-dropout-bf16": minilm(128, { ...dropout, ...bf16 }),
  "minilm-16x128-frozen3": minilm(128, { frozen: 3 }),
  "minilm-16x128-frozen5": minilm(128, { frozen: 5 }),
  "minilm-16x128-frozen5-dropout": minilm(128, { frozen: 5, ...dropout }),
  "minilm-16x128-frozen5-bf16": minilm(128, { frozen: 5, ...bf16 }),
  "minilm-banking": minilm("banking"),
  "minilm-banking-dropout": minilm("banking", dropout),
  "minilm-banking-bf16": minilm("banking", bf16),
  "minilm-banking-dropout-bf16": minilm("banking", { ...dropout, ...bf16 }),
  "minilm-banking-frozen4": minilm("banking", { frozen: 4 }),
  "bert-base-16x128": bert(),
  "bert-base-16x128-dropout": bert(dropout),
  "bert-base-16x128-bf16": bert(bf16),
  "bert-base-16x128-frozen11": bert({ frozen: 11 }),
  "bert-base-16x128-frozen11-dropout": bert({ frozen: 11, ...dropout }),
  "bert-base-16x128-frozen11-bf16": bert({ frozen: 11, ...bf16 }),
  "minilm-16x128-inference": minilm(128, inference),
  "minilm-16x128-inference-bf16": minilm(128, { ...inference, ...bf16 }),
  "minilm-banking-inference": minilm("banking", inference),
  "minilm-banking-inference-bf16": minilm("banking", { ...inference, ...bf16 }),
  "minilm-1x14-inference": minilm(14, { ...inference, batch: 1, steps: 20 }),
  "tiny-8x64": step("tiny", 64, { batch: 8, contenders: ["permafrost", "torch", "tfjs"] }),
};

/** Token counts of the 192 training questions of permafrost-demo, [CLS] and [SEP] included, in file order. */
export function lengthsOf(spec, count, bankingLengths) {
  return Array.from({ length: count }, (_, i) =>
    spec.lengths === "banking" ? bankingLengths[i % bankingLengths.length] : spec.lengths,
  );
}
