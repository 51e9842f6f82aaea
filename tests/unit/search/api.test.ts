import { expect, test } from "vitest";
import { fineTune, search } from "../../../src/index.js";

test.each([
  ["search", () => search({ model: "m", train: "t", validation: "v", test: "x", nTrials: -1 })],
  ["fineTune", () => fineTune({ model: "m", train: "t", validation: "v", learningRate: -1 })],
])("%s gives a run for options that are wrong; awaiting or iterating it throws", async (_, start) => {
  const wrong = { name: "ConfigError", code: "ERR_CONFIG" };
  await expect(start()).rejects.toMatchObject(wrong);
  const iterate = async () => {
    for await (const _event of start());
  };
  await expect(iterate()).rejects.toMatchObject(wrong);
});
