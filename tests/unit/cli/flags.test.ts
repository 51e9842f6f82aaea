/** From the command line and --config to checked options: which of them wins, and what is no file of options. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Command } from "commander";
import { afterAll, describe, expect, test } from "vitest";
import { addFlags, normaliseFlags, readOptions } from "../../../src/cli/flags.js";
import { searchOptions } from "../../../src/config/schema.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-flags-"));
const file = path.join(folder, "search.json");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const needed = { model: "m", train: "a", validation: "b", test: "c" };

async function read(args: readonly string[], text?: string, defaults: Record<string, unknown> = needed) {
  rmSync(file, { force: true });
  if (text !== undefined) writeFileSync(file, text);
  const command = addFlags(new Command("search"), searchOptions).exitOverride();
  command.parse(normaliseFlags(args, searchOptions), { from: "user" });
  return (await readOptions(command, searchOptions, defaults)).config;
}
const withFile = (options: object, ...args: string[]) =>
  read(["--config", file, ...args], JSON.stringify(options));

describe("flags", () => {
  test("--no-X of what is true or false; the last one wins", async () => {
    expect(await read(["--no-baseline"])).toMatchObject({ baseline: false, resume: false });
    expect((await read(["--no_load_best_model_at_end"])).loadBestModelAtEnd).toBe(false);
    expect((await withFile({ baseline: true }, "--no-baseline")).baseline).toBe(false);
    expect((await read(["--no-baseline", "--baseline"])).baseline).toBe(true);
  });

  test("names of other tools are answered, in any spelling", async () => {
    const args = ["--lr", "1", "--n-jobs", "2", "--model-name-or-path", "x", "--no_cuda", "--trials=3"];
    await expect(read(args)).rejects.toMatchObject({
      code: "ERR_CONFIG",
      issues: expect.arrayContaining(
        [
          ["lr", "an option of train; search finds it, within learning_rate_range"],
          ["n_jobs", "its name here is lanes"],
          ["model_name_or_path", "its name here is model"],
          ["no_cuda", "not needed: this version computes on the CPU"],
          ["trials", "its name here is n-trials"],
        ].map(([path, hint]) => expect.objectContaining({ path, hint })),
      ),
    });
  });

  test("a list in several words: how it is written, beside what else is wrong", async () => {
    await expect(read(["--seed", "x", "--storage", "a", "layer.0", "head"])).rejects.toMatchObject({
      issues: [
        { path: "layer.0 head", hint: expect.stringContaining("by commas (a,b,c)") },
        { path: "seed", received: '"x"' },
      ],
    });
  });

  test("problems have the flag's name", async () => {
    await expect(read(["--n_trials", "0", "--max-steps", "x"])).rejects.toMatchObject({
      issues: [{ path: "max_steps" }, { path: "n-trials" }],
    });
  });
});

describe("--config", () => {
  test("defaults, the file, flags: the later wins, each option for itself", async () => {
    const config = await withFile({ seed: 7, n_trials: 9, model: "of the file" }, "--seed", "8");
    expect(config).toMatchObject({ seed: 8, nTrials: 9, model: "of the file", train: "a" });
    expect((await read([])).seed).toBe(42);
  });

  test.each([
    ["maxSteps", "--max_steps"],
    ["max_steps", "--max-steps"],
    ["max-steps", "--max_steps"],
  ])("%s of the file and %s of the line are one option", async (key, flag) => {
    expect((await withFile({ [key]: 3 })).maxSteps).toBe(3);
    expect((await withFile({ [key]: 3 }, flag, "2")).maxSteps).toBe(2);
  });

  test("an old name or a synonym in either place is the option it stands for", async () => {
    expect((await withFile({ warmup_ratio: 0.5 }, "--warmup_steps", "4")).warmupSteps).toBe(4);
    expect((await withFile({ warmupSteps: 4 }, "--warmup_ratio", "0.5")).warmupSteps).toBe(0.5);
    expect((await withFile({ precision: "fp32" }, "--bf16")).precision).toBe("bf16");
    expect((await withFile({ bf16: true }, "--precision", "fp32")).precision).toBe("fp32");
  });

  test("values are those that flags give in text", async () => {
    const options = { learning_rate_range: [1e-6, 1e-4], n_trials: 9, baseline: false };
    const flags = ["--learning_rate_range", "[1e-6,1e-4]", "--n-trials=9", "--baseline", "false"];
    expect(await withFile(options)).toEqual(await read(flags));
  });

  test("a byte order mark before the object is none of it", async () => {
    expect((await read(["--config", file], '\uFEFF{"seed":7}')).seed).toBe(7);
  });

  test.each([
    ["[]", "not an object"],
    ["null", "not an object"],
    ['"text"', "not an object"],
    ["", "JSON"],
    ['{"seed":', "JSON"],
    [undefined, "ENOENT"],
  ])("%j is no file of options: ERR_CONFIG_FILE names it", async (text, received) => {
    await expect(read(["--config", file], text)).rejects.toMatchObject({
      ...{ name: "ConfigError", code: "ERR_CONFIG_FILE", message: expect.stringContaining(file) },
      issues: [{ path: "--config", received: expect.stringContaining(received) }],
    });
  });

  test("names of other tools are answered there, too", async () => {
    await expect(withFile({ epochs: 3, nJobs: 2, freeze: [] })).rejects.toMatchObject({
      issues: [
        { path: "epochs", hint: "its name here is num_train_epochs" },
        { path: "nJobs", hint: "its name here is lanes" },
        { path: "freeze", hint: "an option of train; search decides what is frozen" },
      ],
    });
  });

  test("what is wrong in the file and on the line comes as one list", async () => {
    const run = withFile({ seeed: 1, n_trials: 0 }, "--seed", "x");
    await expect(run).rejects.toMatchObject({
      code: "ERR_CONFIG",
      issues: [
        { path: "seeed", hint: "did you mean seed?" },
        { path: "seed", received: '"x"' },
        { path: "n_trials", received: "0" },
      ],
    });
  });
});
