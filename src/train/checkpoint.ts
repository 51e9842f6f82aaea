/**
 * checkpoint-<step> folders: everything a run needs to go on as if it had never stopped, also in the middle of an epoch.
 * The order of rows and the dropout masks are functions of (seed, step), so the step is all the generator state there is.
 */
import { mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { ConfigError, type Issue } from "../errors.js";
import { asWriteError, move, syncFolder, writeFileAtomic, writeJsonAtomic } from "../models/atomic.js";
import { sha256 } from "../models/hash.js";
import { makeFolder } from "../models/make-folder.js";
import type { Evaluation } from "./lane.js";
import type { Totals } from "./totals.js";
import type { LogState } from "./trainer-state.js";

export interface Checkpoint {
  readonly step: number;
  /** Weights, moments and step count of the lane: the core's own bytes. */
  readonly state: Uint8Array;
  /** The core's state at the best evaluation, when that is not this one. */
  readonly best: Uint8Array | null;
  readonly evaluations: readonly Evaluation[];
  readonly log: LogState;
  readonly totals: Totals;
  /** The folder that has the weights of the best evaluation; null when none was written at that step. */
  readonly bestCheckpoint: string | null;
  /** What must be the same to go on: model and data hashes, rates, options. */
  readonly manifest: Readonly<Record<string, unknown>>;
}

const STATE = "lane_state.bin";
const BEST = "best_lane_state.bin";
const META = "permafrost_checkpoint.json";

export const checkpointDir = (outputDir: string, step: number) => path.join(outputDir, `checkpoint-${step}`);

/** JSON has no NaN: a loss that was one is written as null. */
const number = z.number().or(z.null().transform(() => Number.NaN));
const fileFacts = z.object({ bytes: z.number(), sha256: z.string() });
const metaSchema = z.object({
  step: z.number().int().min(0),
  evaluations: z.array(
    z.object({ step: number, epoch: number, loss: number, accuracy: number, best: z.boolean() }),
  ),
  log: z.object({ entries: z.array(z.looseObject({})), loss: number, steps: number }),
  totals: z.object({
    seconds: number,
    tokens: number,
    flops: number,
    cache: z.object({ hits: number, misses: number, bytes: number }),
  }),
  bestCheckpoint: z.string().nullable(),
  manifest: z.record(z.string(), z.unknown()),
  /** The binary files beside this one: a state that was cut or changed must not be gone on from. */
  files: z.object({ [STATE]: fileFacts, [BEST]: fileFacts.optional() }),
});

/**
 * Written beside its place and renamed into it: a checkpoint is there whole or not at all. One that was there before goes
 * only when the new one is in place.
 *
 * @throws PermafrostError ERR_WRITE; nothing of the new checkpoint stays behind.
 */
export async function writeCheckpoint(
  outputDir: string,
  checkpoint: Checkpoint,
  trainerState: object,
): Promise<string> {
  const target = checkpointDir(outputDir, checkpoint.step);
  const stage = `${target}.tmp`;
  const { state, best, ...rest } = checkpoint;
  const files = { [STATE]: await factsOf(state), ...(best ? { [BEST]: await factsOf(best) } : {}) };
  try {
    await rm(stage, { recursive: true, force: true });
    await makeFolder(outputDir);
    await mkdir(stage);
    await writeFileAtomic(path.join(stage, STATE), state);
    if (best) await writeFileAtomic(path.join(stage, BEST), best);
    await writeJsonAtomic(path.join(stage, META), { ...rest, files });
    await writeJsonAtomic(path.join(stage, "trainer_state.json"), trainerState);
    await replaceFolder(stage, target);
  } catch (error) {
    await rm(stage, { recursive: true, force: true }).catch(() => {});
    throw asWriteError(error, target);
  }
  return target;
}

/** A folder cannot be renamed over a full one: the old one steps aside, and back if the new one does not come. */
async function replaceFolder(stage: string, target: string): Promise<void> {
  const aside = `${target}.old`;
  await rm(aside, { recursive: true, force: true });
  const replaced = await move(target, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );
  try {
    await move(stage, target);
  } catch (error) {
    if (replaced) await move(aside, target);
    throw error;
  }
  await syncFolder(path.dirname(target));
  // The new one is in place whether or not the old one goes; the next write begins by removing it.
  await rm(aside, { recursive: true, force: true }).catch(() => {});
}

/**
 * @param manifest of the run that wants to go on.
 * @throws ConfigError ERR_CHECKPOINT when the folder is not a whole checkpoint, or of another run, naming the file or what differs.
 */
export async function readCheckpoint(dir: string, manifest: Checkpoint["manifest"]): Promise<Checkpoint> {
  const metaFile = path.join(dir, META);
  const metaBytes = await readPart(metaFile);
  const { files, ...meta } = parseMeta(metaFile, metaBytes.toString("utf8"));
  const issues: Issue[] = Object.entries(manifest)
    .filter(([key, value]) => JSON.stringify(meta.manifest[key]) !== JSON.stringify(value))
    .map(([key, value]) => ({
      path: `${dir}: ${key}`,
      expected: JSON.stringify(meta.manifest[key]) ?? "nothing",
      received: JSON.stringify(value) ?? "nothing",
    }));
  if (issues.length > 0) throw new ConfigError("ERR_CHECKPOINT", "the checkpoint is of another run", issues);
  const state = await readState(path.join(dir, STATE), files[STATE]);
  const best = files[BEST] ? await readState(path.join(dir, BEST), files[BEST]) : null;
  return { ...meta, log: meta.log as unknown as LogState, state, best };
}

function parseMeta(file: string, text: string): z.output<typeof metaSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken([{ path: file, expected: "JSON", received: (cause as Error).message }], cause);
  }
  const parsed = metaSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw broken(
    parsed.error.issues.map((issue) => ({
      path: `${file}: ${issue.path.join(".") || "the whole"}`,
      expected: "what permafrost wrote there",
      received: issue.message,
    })),
  );
}

async function readState(file: string, expected: z.output<typeof fileFacts>): Promise<Buffer> {
  const state = await readPart(file);
  if (state.length !== expected.bytes)
    throw broken([{ path: file, expected: `${expected.bytes} bytes`, received: `${state.length} bytes` }]);
  const received = await sha256(state);
  if (received !== expected.sha256)
    throw broken([{ path: file, expected: `SHA-256 ${expected.sha256}`, received: `SHA-256 ${received}` }]);
  return state;
}

/** readFile and a read take less than 2 GiB each; the state of a large model is more. */
const PART = 2 ** 30;

async function readPart(file: string): Promise<Buffer> {
  try {
    await using handle = await open(file);
    const bytes = Buffer.allocUnsafeSlow((await handle.stat()).size);
    let end = 0;
    while (end < bytes.length) {
      const { bytesRead } = await handle.read(bytes, end, Math.min(PART, bytes.length - end), end);
      if (bytesRead === 0) break;
      end += bytesRead;
    }
    return bytes.subarray(0, end);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const received = code === "ENOENT" ? "no such file" : (code ?? message);
    throw broken([{ path: file, expected: "a file of a checkpoint", received }], cause);
  }
}

const broken = (issues: readonly Issue[], cause?: unknown) =>
  new ConfigError("ERR_CHECKPOINT", "cannot go on from there", issues, { cause });

async function factsOf(bytes: Uint8Array): Promise<z.output<typeof fileFacts>> {
  return { bytes: bytes.length, sha256: await sha256(bytes) };
}
