/**
 * Where a tokenizer.json puts its special tokens: the post-processor as two lists of pieces, for one text and for a pair.
 */
import { ModelError } from "../errors.js";

/** Special ids to insert, or a text to put there. `type` is the token type id of all of the piece's tokens. */
export type Piece =
  | { readonly ids: readonly number[]; readonly type: number }
  | { readonly text: "A" | "B"; readonly type: number };

export interface Template {
  readonly single: readonly Piece[];
  readonly pair: readonly Piece[];
}

const A = (type: number): Piece => ({ text: "A", type });
const B = (type: number): Piece => ({ text: "B", type });

type Json = Record<string, unknown>;

/**
 * @param processor `post_processor` of tokenizer.json; null adds nothing.
 * @param file      named in errors.
 * @throws ModelError ERR_TOKENIZER for a kind that is not known or is malformed.
 */
export function readTemplate(processor: unknown, file: string): Template {
  if (processor === null || processor === undefined) return { single: [A(0)], pair: [A(0), B(1)] };
  const json = processor as Json;
  try {
    switch (json.type) {
      case "TemplateProcessing": {
        const special = json.special_tokens as Record<string, { ids: number[] }>;
        return { single: pieces(json.single, special), pair: pieces(json.pair, special) };
      }
      case "BertProcessing": {
        const [cls, sep] = [tokenOf(json.cls), tokenOf(json.sep)];
        const single = [cls(0), A(0), sep(0)];
        return { single, pair: [...single, B(1), sep(1)] };
      }
      case "RobertaProcessing": {
        const [cls, sep] = [tokenOf(json.cls), tokenOf(json.sep)];
        const single = [cls(0), A(0), sep(0)];
        return { single, pair: [...single, sep(0), B(0), sep(0)] };
      }
      case "ByteLevel":
        return readTemplate(null, file); // moves offsets only, and those are not used here
      case "Sequence": {
        const inner = json.processors as Json[];
        return readTemplate(inner.find((p) => p.type !== "ByteLevel") ?? null, file);
      }
    }
  } catch (cause) {
    throw malformed(file, `a well-formed ${String(json.type)}`, JSON.stringify(processor), cause);
  }
  throw malformed(file, "TemplateProcessing, BertProcessing, RobertaProcessing or null", String(json.type));
}

function pieces(list: unknown, special: Record<string, { ids: number[] }>): Piece[] {
  return (list as Json[]).map((entry) => {
    const sequence = entry.Sequence as { id: string; type_id: number } | undefined;
    if (sequence) return { text: sequence.id === "B" ? "B" : "A", type: integer(sequence.type_id) };
    const token = entry.SpecialToken as { id: string; type_id: number };
    return { ids: special[token.id]!.ids.map(integer), type: integer(token.type_id) };
  });
}

/** ["[CLS]", 101] as a piece of any type. */
function tokenOf(entry: unknown): (type: number) => Piece {
  const id = integer((entry as [string, number])[1]);
  return (type) => ({ ids: [id], type });
}

function integer(value: number): number {
  if (!Number.isInteger(value) || value < 0) throw new TypeError(`${value} is not an id`);
  return value;
}

function malformed(file: string, expected: string, received: string, cause?: unknown): ModelError {
  const shown = received.length > 200 ? `${received.slice(0, 200)}…` : received;
  return new ModelError(
    "ERR_TOKENIZER",
    `${file}: the post-processor cannot be used`,
    [{ path: "post_processor", expected, received: shown }],
    { cause },
  );
}
