import type { z } from "zod";

/** How an option's text on the command line becomes a value. */
export type OptionKind = "string" | "number" | "boolean" | "json" | "list";

/** What is said of an option beside its schema: where help, docs and checks take it from. */
export interface OptionDoc {
  readonly kind: OptionKind;
  /** One line, units and meaning of odd values included. */
  readonly doc: string;
  /** Heading in the help. */
  readonly group: "data" | "training" | "freezing" | "evaluation" | "search" | "output" | "machine";
  /** Old names, accepted with a warning. */
  readonly aliases?: readonly string[];
  /** Names other programs use today, accepted as they are. */
  readonly synonyms?: readonly string[];
  /** A flag of the alias or synonym that means this value: `--bf16` is `precision: "bf16"`. */
  readonly aliasValues?: Readonly<Record<string, unknown>>;
  /** Written with hyphens, as Optuna's command line does: `--n-trials`. @default with underscores, as Hugging Face's */
  readonly hyphens?: boolean;
}

export interface OptionSpec<S extends z.ZodType = z.ZodType> extends OptionDoc {
  readonly schema: S;
}

/** Declares an option once. */
export const option = <S extends z.ZodType>(schema: S, doc: OptionDoc): OptionSpec<S> => ({ schema, ...doc });

/** `learning_rate` → `learningRate`. */
export type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

export const camelCase = (name: string) =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** `learningRate` and `learning-rate` → `learning_rate`. */
export const snakeCase = (key: string) =>
  key.replace(/-/g, "_").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Lists and records are only read: `as const`, or a readonly array, is as good. */
type Given<T> = T extends readonly unknown[] | Record<string, unknown> ? Readonly<T> : T;

/** What a caller gives: defaults may be left out. */
export type InputOf<T extends Record<string, OptionSpec>> = {
  readonly [K in keyof T & string as undefined extends z.input<T[K]["schema"]> ? never : CamelCase<K>]: Given<
    z.input<T[K]["schema"]>
  >;
} & {
  readonly [K in keyof T & string as undefined extends z.input<T[K]["schema"]>
    ? CamelCase<K>
    : never]?: Given<z.input<T[K]["schema"]>>;
};

/** What the code reads: every default filled in, frozen. */
export type ConfigOf<T extends Record<string, OptionSpec>> = {
  readonly [K in keyof T & string as CamelCase<K>]: z.output<T[K]["schema"]>;
};
