/** Defaults of `permafrost demo`: the same search on the model and data of the package permafrost-demo. */
import { createRequire } from "node:module";
import path from "node:path";
import { ConfigError } from "../errors.js";

/** As short as a comparison can be: minutes on two cores. A search of one's own deserves more trials and seeds. */
const SIZES = { num_train_epochs: 10, n_trials: 10, n_seeds: 3, output_dir: "permafrost-demo-out" };

/** In the package. */
const FILES = {
  model: "model",
  train: "data/banking77/train.jsonl",
  validation: "data/banking77/dev.jsonl",
  test: "data/banking77/test.jsonl",
};

const filesIn = (folder: string, join: typeof path.join) =>
  Object.fromEntries(Object.entries(FILES).map(([name, file]) => [name, join(folder, file)]));

/** For the help, that does without the package. */
export const demoHelp: Readonly<Record<string, unknown>> = {
  ...SIZES,
  ...filesIn("permafrost-demo", path.posix.join),
};

/** @throws ConfigError ERR_DEMO when the package is not installed. */
export async function demoDefaults(): Promise<Record<string, unknown>> {
  let folder: string;
  try {
    folder = path.dirname(createRequire(import.meta.url).resolve("permafrost-demo/package.json"));
  } catch (cause) {
    throw new ConfigError(
      "ERR_DEMO",
      "the demo's model and data are a package of their own",
      [
        {
          path: "permafrost-demo",
          expected: "an installed package",
          received: "none",
          hint: "a clone of permafrost has it; elsewhere, npm pack packages/demo there and install the file here",
        },
      ],
      { cause },
    );
  }
  // Shorter to read, and a report then says nothing of the machine.
  const near = path.relative(process.cwd(), folder);
  if (!near.startsWith("..")) folder = near;
  return { ...SIZES, ...filesIn(folder, path.join) };
}
