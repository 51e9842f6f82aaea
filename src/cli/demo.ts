/** Defaults of `permafrost demo`: the same search on the model and data of the package permafrost-demo. */
import { createRequire } from "node:module";
import path from "node:path";
import { ConfigError } from "../errors.js";

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
          hint: "npm install permafrost-demo",
        },
      ],
      { cause },
    );
  }
  // Shorter to read, and a report then says nothing of the machine.
  const near = path.relative(process.cwd(), folder);
  if (!near.startsWith("..")) folder = near;
  const data = path.join(folder, "data", "banking77");
  return {
    model: path.join(folder, "model"),
    train: path.join(data, "train.jsonl"),
    validation: path.join(data, "dev.jsonl"),
    test: path.join(data, "test.jsonl"),
    // As short as a comparison can be: minutes on two cores. A search of one's own deserves more trials and seeds.
    num_train_epochs: 10,
    n_trials: 10,
    n_seeds: 3,
    output_dir: "permafrost-demo-out",
  };
}
