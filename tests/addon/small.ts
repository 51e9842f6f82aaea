/** The tiny fixture's model with one lane that trains everything: what the tests of faults, of lifetimes and of embeddings call. */
import type { ModelHandle, SessionHandle } from "../../src/native/contract.js";
import {
  cacheOff,
  chunk,
  constantRates,
  datasetSpec,
  laneSpec,
  modelSpec,
  native,
} from "../golden/native.js";
import { readTiny, weightsOf } from "../golden/read.js";

const { meta, tensors } = readTiny();
export const { config } = meta;
export const spec = modelSpec(config, { threads: 2, hiddenDropout: 0.1 });
export const weights = weightsOf(tensors, "cls");
export const data = datasetSpec(meta.batches.training!);
export const everything = Array.from({ length: config.num_hidden_layers + 2 }, () => true);
export const lane = laneSpec(everything, { seed: 3, dropout: true });
/** A step of `lane` over the first rows of dataset 0. */
export const goodChunk = chunk(0, [[0, 1, 2]], constantRates(1, [1e-3, 1e-3, 1e-3, 1e-3, 1e-3]));

/** A model with `data` as its dataset 0, and a session of `lane`. */
export async function open(): Promise<{ model: ModelHandle; session: SessionHandle }> {
  const model = await native.createModel(spec, weights);
  await native.addDataset(model, data);
  return { model, session: await native.createSession(model, [lane], cacheOff) };
}
