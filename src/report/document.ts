/** A report as data: what the renderers share. Text is plain everywhere; each renderer escapes for its own format. */
import type { PlotSpec } from "./plots/spec.js";

export interface ReportDocument {
  readonly title: string;
  readonly subtitle: string;
  readonly sections: readonly Section[];
}

export interface Section {
  /** Stable, for links: "verdict", "layers". */
  readonly id: string;
  readonly title: string;
  readonly blocks: readonly Block[];
}

export type Block = Paragraph | Notice | List | Table | Figure;

interface BlockBase {
  /** Short enough, and needed, on a terminal. @default false */
  readonly brief?: boolean;
}

export interface Paragraph extends BlockBase {
  readonly kind: "paragraph";
  readonly text: string;
}

export interface Notice extends BlockBase {
  readonly kind: "notice";
  readonly tone: "result" | "info" | "warning";
  /** A word or two before the text. */
  readonly label: string;
  readonly text: string;
  /** Further paragraphs. */
  readonly more?: readonly string[];
}

export interface List extends BlockBase {
  readonly kind: "list";
  readonly items: readonly string[];
}

export interface Table extends BlockBase {
  readonly kind: "table";
  readonly caption: string;
  readonly columns: readonly Column[];
  /** One cell a column. */
  readonly rows: readonly (readonly string[])[];
  /** How to read it, below. */
  readonly note?: string;
}

export interface Column {
  readonly label: string;
  /** Numbers go right. @default "left" */
  readonly align?: "left" | "right";
  /** Left out on a terminal. @default false */
  readonly detail?: boolean;
}

export interface Figure extends BlockBase {
  readonly kind: "figure";
  readonly title: string;
  /** What it shows, for who cannot see it and for formats without pictures. */
  readonly alt: string;
  readonly caption: string;
  readonly plot: PlotSpec;
}
