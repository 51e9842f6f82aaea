/** Files that go where a model goes: of its tokenizer, and its licence. */
import { readFile } from "node:fs/promises";
import path from "node:path";

export const TOKENIZER_CONFIG = "tokenizer_config.json";

export const TOKENIZER_FILES = [
  "tokenizer.json",
  TOKENIZER_CONFIG,
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "special_tokens_map.json",
  "added_tokens.json",
  "generation_config.json",
];

/** Those that `dir` has, by name. */
export async function readCompanions(dir: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of [...TOKENIZER_FILES, "LICENSE", "NOTICE"]) {
    const bytes = await readFile(path.join(dir, name)).catch(ignoreMissing);
    if (bytes) files.set(name, bytes);
  }
  return files;
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}
