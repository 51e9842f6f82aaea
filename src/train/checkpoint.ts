/**
 * checkpoint-<step> folders: everything a run needs to go on as if it had never stopped, also in the middle of an epoch.
 * The order of rows and the dropout masks are functions of (seed, step), so the step is all the generator state there is.
 */
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { ConfigError, type Issue } from "../errors.js";
import { writeFileAtomic, writeJsonAtomic } from "../models/atomic.js";
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

/** Written beside its place and renamed into it: a checkpoint is there whole or not at all. */
export async function writeCheckpoint(
  outputDir: string,
  checkpoint: Checkpoint,
  trainerState: object,
): Promise<string> {
  const target = checkpointDir(outputDir, checkpoint.step);
  const stage = `${target}.tmp`;
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage, { recursive: true });
  const { state, best, ...meta } = checkpoint;
  await writeFileAtomic(path.join(stage, STATE), state);
  if (best) await writeFileAtomic(path.join(stage, BEST), best);
  await writeJsonAtomic(path.join(stage, META), meta);
  await writeJsonAtomic(path.join(stage, "trainer_state.json"), trainerState);
  await rm(target, { recursive: true, force: true });
  await rename(stage, target);
  return target;
}

/**
 * @param manifest of the run that wants to go on.
 * @throws ConfigError ERR_CHECKPOINT when the folder is not a checkpoint, or of another run, naming what differs.
 */
export async function readCheckpoint(dir: string, manifest: Checkpoint["manifest"]): Promise<Checkpoint> {
  const read = (name: string) =>
    readFile(path.join(dir, name)).catch((cause) => {
      throw new ConfigError(
        "ERR_CHECKPOINT",
        "cannot go on from there",
        [
          {
            path: path.join(dir, name),
            expected: "a file of a checkpoint",
            received: (cause as NodeJS.ErrnoException).code ?? "nothing",
          },
        ],
        { cause },
      );
    });
  const meta = JSON.parse((await read(META)).toString("utf8")) as Omit<Checkpoint, "state" | "best">;
  const issues: Issue[] = Object.entries(manifest)
    .filter(([key, value]) => JSON.stringify(meta.manifest[key]) !== JSON.stringify(value))
    .map(([key, value]) => ({
      path: `${dir}: ${key}`,
      expected: JSON.stringify(meta.manifest[key]) ?? "nothing",
      received: JSON.stringify(value) ?? "nothing",
    }));
  if (issues.length > 0) throw new ConfigError("ERR_CHECKPOINT", "the checkpoint is of another run", issues);
  const state = await read(STATE);
  const best = await readFile(path.join(dir, BEST)).catch(() => null);
  return { ...meta, state, best };
}
