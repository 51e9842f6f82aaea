/** Checkpoints: whole or not there, and nothing goes on from a broken one. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../../../src/errors.js";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../../../src/train/checkpoint.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), "permafrost-checkpoint-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const manifest = { modelHash: "abc", seed: 1 };
const checkpoint: Checkpoint = {
  step: 7,
  state: Uint8Array.from({ length: 100 }, (_, i) => i),
  best: Uint8Array.of(1, 2, 3),
  evaluations: [{ step: 4, epoch: 1, loss: Number.NaN, accuracy: 0.5, best: true }],
  log: { entries: [{ step: 5, epoch: 1.2, loss: 0.5 }] as never, loss: 0.25, steps: 2 },
  totals: { seconds: 1.5, tokens: 640, flops: 2e9, cache: { hits: 3, misses: 2, bytes: 4096 } },
  bestCheckpoint: "checkpoint-4",
  manifest,
};
const write = (change: Partial<Checkpoint> = {}) => writeCheckpoint(dir, { ...checkpoint, ...change }, {});

async function refusal(at: string): Promise<ConfigError> {
  const error = await readCheckpoint(at, manifest).then(
    () => expect.unreachable(),
    (e) => e,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.code).toBe("ERR_CHECKPOINT");
  return error;
}

test("comes back as it was, a loss that is not a number included", async () => {
  const at = await write();
  const read = await readCheckpoint(at, manifest);
  expect({ ...read, state: [...read.state], best: [...read.best!] }).toEqual({
    ...checkpoint,
    state: [...checkpoint.state],
    best: [1, 2, 3],
  });
  expect((await readCheckpoint(await write({ step: 8, best: null }), manifest)).best).toBeNull();
});

test.each<[string, (at: string) => void, string, string]>([
  [
    "no JSON",
    (at) => writeFileSync(path.join(at, "permafrost_checkpoint.json"), "\0garbage"),
    "permafrost_checkpoint.json",
    "JSON",
  ],
  [
    "JSON of something else",
    (at) => writeFileSync(path.join(at, "permafrost_checkpoint.json"), '{"step":7}'),
    "permafrost_checkpoint.json: manifest",
    "what permafrost wrote",
  ],
  [
    "a state cut short",
    (at) => truncateSync(path.join(at, "lane_state.bin"), 60),
    "lane_state.bin",
    "100 bytes",
  ],
  [
    "a state of other bytes",
    (at) => writeFileSync(path.join(at, "lane_state.bin"), new Uint8Array(100)),
    "lane_state.bin",
    "SHA-256",
  ],
  ["no best state", (at) => rmSync(path.join(at, "best_lane_state.bin")), "best_lane_state.bin", "a file"],
  [
    "a folder where the best state was",
    (at) => {
      rmSync(path.join(at, "best_lane_state.bin"));
      mkdirSync(path.join(at, "best_lane_state.bin"));
    },
    "best_lane_state.bin",
    "a file",
  ],
])("refuses %s, and names the file", async (_, spoil, file, expected) => {
  const at = await write();
  spoil(at);
  const { issues } = await refusal(at);
  expect(issues.map((issue) => issue.path).join("\n")).toContain(path.join(at, file));
  expect(issues.map((issue) => issue.expected).join("\n")).toContain(expected);
});

test("of another run: says what differs", async () => {
  const { issues } = await refusal(await write({ manifest: { ...manifest, seed: 2 } }));
  expect(issues).toEqual([{ path: expect.stringContaining("seed"), expected: "2", received: "1" }]);
});

test("a write that fails leaves the checkpoint that was there, and nothing of its own", async () => {
  const at = await write();
  const before = readFileSync(path.join(at, "permafrost_checkpoint.json"), "utf8");
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  await expect(writeCheckpoint(dir, { ...checkpoint, manifest: {} }, circular)).rejects.toThrow("circular");
  expect(readdirSync(dir)).toEqual(["checkpoint-7"]);
  expect(readFileSync(path.join(at, "permafrost_checkpoint.json"), "utf8")).toBe(before);
});

test("a later checkpoint of the same step takes its place", async () => {
  await write();
  const at = await write({ best: null });
  expect(readdirSync(dir)).toEqual(["checkpoint-7"]);
  expect((await readCheckpoint(at, manifest)).best).toBeNull();
});

test("an output folder that cannot be made: ERR_WRITE", async () => {
  writeFileSync(path.join(dir, "file"), "");
  await expect(writeCheckpoint(path.join(dir, "file"), checkpoint, {})).rejects.toMatchObject({
    code: "ERR_WRITE",
  });
});
