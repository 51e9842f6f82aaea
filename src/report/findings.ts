/** Everything a report is made of. The caller fills it in; the report computes no statistics of its own. */
import type { ArmSummary, Comparison, LayerFindings } from "../analysis/findings.js";
import type { LayerTrial } from "../analysis/types.js";
import type { Direction } from "../study/types.js";

export interface SearchFindings {
  readonly study: StudyMeta;
  /** Every trial of the search, all arms, in any order. */
  readonly trials: readonly LayerTrial[];
  readonly layers: LayerFindings;
  /** The first is the one the verdict is about. Empty when the final comparison was not run. */
  readonly comparisons: readonly Comparison[];
  /** The retrained winner by itself, where there is nothing to compare it with. */
  readonly winner: ArmSummary | null;
  /** The largest class of train, and its share of test: what always answering it would score. */
  readonly majority: { readonly label: string; readonly test: number };
  /** What the reader must know beside the numbers: pruned search, reused test set, newly initialised head, … */
  readonly notices: readonly ReportNotice[];
}

export interface StudyMeta {
  readonly name: string;
  readonly direction: Direction;
  /** What a trial's value is: "validation accuracy". */
  readonly objective: string;
  /** ISO 8601. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly model: ModelMeta;
  readonly data: readonly DataFileMeta[];
  /** Times the test rows were read by the final comparison: ISO 8601 each. More than one is printed as a warning. */
  readonly testReadAt: readonly string[];
  /** Resolved options, in the order to print. */
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  /** { permafrost: "0.1.0", node: "20.20.2", native: "…" } */
  readonly versions: Readonly<Record<string, string>>;
  /** { cpu: "…", cores: "2", memory: "…" } */
  readonly machine: Readonly<Record<string, string>>;
}

export interface ModelMeta {
  readonly name: string;
  readonly family: string;
  readonly layers: number;
  readonly parameters: number;
  /** Over names, shapes and values of the tensors as fp32: not the hash of a file, whose dtype and shards may differ. */
  readonly sha256: string | null;
}

export interface DataFileMeta {
  readonly role: "train" | "validation" | "test";
  readonly path: string;
  readonly rows: number;
  readonly labels: number;
  readonly sha256: string | null;
}

export interface ReportNotice {
  readonly tone: "info" | "warning";
  readonly text: string;
}
