// `permafrost train` below its flags: what it prints, and the code it ends with, on a tiny model.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exitCodeOf } from "../../src/cli/exit.js";
import { trainCommand } from "../../src/cli/train.js";
import { resolve } from "../../src/config/resolve.js";
import { type TrainOptions, trainOptions } from "../../src/config/schema.js";
import { writeProblem } from "./tiny.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-train-command-"));
const at = (name: string) => path.join(folder, name);

beforeAll(() => writeProblem(at));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function command(options: Partial<TrainOptions>, flags: { json?: boolean; profile?: boolean } = {}) {
  const [out, log]: [string[], string[]] = [[], []];
  const terminal = { out: (s: string) => out.push(s), log: (s: string) => log.push(s), status: () => {} };
  const context = { terminal, ...flags, signal: new AbortController().signal };
  const files = { model: at("model"), train: at("train.jsonl"), validation: at("dev.jsonl"), maxSteps: 2 };
  const code = await trainCommand(resolve(trainOptions, { ...files, ...options }), context as never).then(
    () => 0,
    (error) => exitCodeOf(error),
  );
  return { out, log, code };
}

test("--profile: the time of each kind of operation beside the peak of this machine", async () => {
  const { out, code } = await command({ outputDir: at("out") }, { profile: true });
  expect(code).toBe(0);
  expect(out.find((line) => line.startsWith("operation"))).toMatch(/predicted ms .* of peak/);
  expect(out.join("\n")).toMatch(/\nmeasured .* at this machine's peak of \d+ GFLOP\/s and [\d.]+ GB\/s/);
});

test("--profile --json: the peak beside the rows", async () => {
  const { out } = await command({ outputDir: at("out") }, { profile: true, json: true });
  const { profile, peak } = JSON.parse(out.join("\n"));
  expect(profile.map((row: { kind: string }) => row.kind)).toContain("linear_forward");
  for (const value of [peak.fp32, peak.bf16, peak.stream]) expect(value).toBeGreaterThan(1e6);
});

test("an output folder that cannot be: exit code 2, before a step, nothing left", async () => {
  const before = readdirSync(folder);
  const { log, code } = await command({ outputDir: at("train.jsonl") });
  expect([log, code]).toEqual([[], 2]);
  expect(readdirSync(folder)).toEqual(before);
});
