/** Files that go where a model goes: of its tokenizer, and its licence. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { ModelError } from "../errors.js";

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

/** Those that `dir` has, by name. @throws ModelError naming one that cannot be read. */
export async function readCompanions(dir: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of [...TOKENIZER_FILES, "LICENSE", "NOTICE"]) {
    const file = path.join(dir, name);
    const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return null;
      throw new ModelError(
        "ERR_MODEL_FOLDER",
        `${file}: not read`,
        [{ path: name, expected: "a file to copy beside the trained model", received: cause.message }],
        { cause },
      );
    });
    if (bytes) files.set(name, bytes);
  }
  return files;
}
