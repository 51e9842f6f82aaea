/** From JavaScript, nothing may be given at all. */
import { expect, test } from "vitest";
import { fineTune, loadModel, search } from "../../../src/index.js";

test.each([
  ["search", search],
  ["fineTune", fineTune],
  ["loadModel", loadModel],
])("%s without options rejects with what is missing", async (_, typed) => {
  const start = typed as (...given: unknown[]) => PromiseLike<unknown>;
  const wrong = {
    name: "ConfigError",
    code: "ERR_CONFIG",
    issues: expect.arrayContaining([expect.objectContaining({ path: "model", received: "nothing" })]),
  };
  await expect(start()).rejects.toMatchObject(wrong);
  await expect(start(undefined)).rejects.toMatchObject(wrong);
});
