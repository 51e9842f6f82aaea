/** Assembles what the report is made of from stored trials and finished arms. */
import os from "node:os";
import {
  type ArmResult,
  analyseInPieces,
  compareInPieces,
  type LayerTrial,
  type SeedResult,
  summarise,
} from "../analysis/index.js";
import type { SearchConfig } from "../config/schema.js";
import { inTurns } from "../event-loop.js";
import { addon } from "../native/call.js";
import { machineMemory, machineThreads } from "../native/machine.js";
import type { ReportNotice, SearchFindings } from "../report/index.js";
import { armOf } from "../study/study.js";
import type { TrialRecord } from "../study/types.js";
import type { Split, Task } from "../train/task.js";
import { isFinished, type TrialAttrs } from "./choice.js";
import { decodeRates, isProposal } from "./space.js";

/** A stored trial as the analysis reads it; null for one that never ran here (made by another program). */
export function layerTrial(record: TrialRecord, groups: readonly string[]): LayerTrial | null {
  const attrs = record.userAttrs as Partial<TrialAttrs>;
  const { validation_loss, seconds, flops, trained_parameters } = attrs;
  // One that was given up, its process lost too often, has parameters alone: that it has no value is to be said.
  const givenUp = record.state === "FAIL" && isProposal(record.params);
  const rates = attrs.rates ?? (givenUp ? decodeRates(groups, record.params) : null);
  if (!rates || !isFinished(record)) return null;
  return {
    number: record.number,
    arm: armOf(record),
    state: record.state,
    value: record.value,
    rates,
    globalRate: record.params.learning_rate as number,
    validationLoss: validation_loss ?? null,
    cost: { seconds: seconds ?? 0, flops: flops ?? 0, trainedParameters: trained_parameters ?? 0 },
  };
}

export interface FindingsInput {
  readonly signal: AbortSignal;
  readonly config: SearchConfig;
  readonly task: Task;
  readonly trials: readonly TrialRecord[];
  readonly winner: ArmResult;
  readonly baseline: ArmResult | null;
  /** Null for a study that another program began. */
  readonly startedAt: string | null;
  readonly testReadAt: readonly string[];
  readonly majority: SearchFindings["majority"];
  readonly notices: readonly ReportNotice[];
}

export async function assembleFindings(input: FindingsInput): Promise<SearchFindings> {
  const { signal, config, task, winner, baseline, majority, notices } = input;
  const trials = input.trials.flatMap((record) => layerTrial(record, task.groups) ?? []);
  const paired = (seed: SeedResult) => winner.seeds.some((own) => own.seed === seed.seed);
  const rival = baseline?.seeds.some(paired) ? baseline : null;
  const { seed } = config;
  const context = { datasets: 1, splits: 1, seedsPerTrial: 1 };
  return {
    study: {
      name: config.studyName,
      direction: "maximize",
      objective: "validation accuracy",
      startedAt: input.startedAt,
      finishedAt: new Date().toISOString(),
      model: {
        name: task.folder.path,
        family: task.folder.config.model_type,
        layers: task.folder.config.num_hidden_layers,
        parameters: task.native.description.parameters,
        sha256: task.modelHash,
      },
      data: Object.entries(task.splits).map(([role, split]) =>
        dataMeta(role as "train", split as Split, task),
      ),
      testReadAt: input.testReadAt,
      options: printable({ ...config, maxLength: task.maxLength }),
      versions: {
        permafrost: addon().version().addon,
        node: process.versions.node,
        compiler: addon().version().compiler,
      },
      machine: {
        cpu: os.cpus()[0]?.model.trim() ?? "unknown",
        cores: String(machineThreads()),
        memory: `${Math.round(machineMemory() / 2 ** 30)} GiB`,
        kernels: task.native.description.isa,
      },
    },
    trials,
    layers: await inTurns(analyseInPieces(trials, { seed, context }), signal),
    comparisons: rival ? await inTurns(compareInPieces(winner, [rival], { seed }), signal) : [],
    winner: rival ? null : summarise(winner, task.splits.test!.dataset.examples.length),
    majority,
    notices,
  };
}

function dataMeta(role: "train" | "validation" | "test", split: Split, task: Task) {
  return {
    role,
    path: split.dataset.path,
    rows: split.dataset.examples.length,
    labels: task.labels.names.length,
    sha256: split.dataset.hash,
  };
}

function printable(config: SearchConfig): Record<string, string | number | boolean | null> {
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => {
      if (value === undefined) return [];
      return [
        [key, typeof value === "object" ? JSON.stringify(value) : (value as string | number | boolean)],
      ];
    }),
  );
}
