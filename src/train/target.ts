/** What a trained model may not take the place of. */
import { access, realpath } from "node:fs/promises";
import path from "node:path";
import { ConfigError } from "../errors.js";

/** Files of a model folder that people write by hand, or have from elsewhere. */
const THEIRS = ["README.md", "config.json"];
/** In every model folder that was trained here. */
const OURS = "layers.json";

/**
 * Refuses to save over the model that training begins with, and over a README.md or config.json that is not of a model trained
 * here: those of an earlier training are replaced.
 *
 * @throws ConfigError ERR_OUTPUT_DIR.
 */
export async function checkTarget(dir: string, model: string): Promise<void> {
  const refuse = (received: string, expected: string) =>
    new ConfigError("ERR_OUTPUT_DIR", "the trained model would take the place of other files", [
      { path: "output_dir", expected, received, hint: "name another folder, or a new one below it" },
    ]);
  const [target, source] = await Promise.all(
    [dir, model].map((at) => realpath(at).catch(() => path.resolve(at))),
  );
  if (target === source) throw refuse(dir, "another folder than the model's");
  const has = async (name: string) =>
    access(path.join(dir, name)).then(
      () => true,
      () => false,
    );
  if (await has(OURS)) return;
  for (const name of THEIRS)
    if (await has(name)) throw refuse(path.join(dir, name), `a folder without a ${name} of somebody else's`);
}
