/** What a trained model may not take the place of. */
import { access, realpath } from "node:fs/promises";
import path from "node:path";
import { ConfigError } from "../errors.js";
import { OWNER_FILE } from "../models/export.js";

/** Files of a model folder that people write by hand, or have from elsewhere. */
const THEIRS = ["README.md", "config.json"];
const MODEL = "model.safetensors";
const OF_SEARCH = ["report.json", "study.db"];

const refuse = (received: string, expected: string) =>
  new ConfigError("ERR_OUTPUT_DIR", "the results would take the place of other files", [
    { path: "output_dir", expected, received, hint: "name another folder, or a new one below it" },
  ]);

const has = (dir: string, name: string) =>
  access(path.join(dir, name)).then(
    () => true,
    () => false,
  );

/**
 * Refuses to save over the model that training begins with, over a README.md or config.json that is not of a model trained
 * here (those of an earlier training are replaced), and over a search's results.
 *
 * @throws ConfigError ERR_OUTPUT_DIR.
 */
export async function checkTarget(dir: string, model: string): Promise<void> {
  const [target, source] = await Promise.all(
    [dir, model].map((at) => realpath(at).catch(() => path.resolve(at))),
  );
  if (target === source) throw refuse(dir, "another folder than the model's");
  for (const name of OF_SEARCH)
    if (await has(dir, name)) throw refuse(path.join(dir, name), "a folder without a search's results");
  if (await has(dir, OWNER_FILE)) return;
  for (const name of THEIRS)
    if (await has(dir, name))
      throw refuse(path.join(dir, name), `a folder without a ${name} of somebody else's`);
}

/**
 * Refuses to put a search's results beside a model that was trained into the same folder: both have a layers.json.
 *
 * @throws ConfigError ERR_OUTPUT_DIR.
 */
export async function checkSearchTarget(dir: string): Promise<void> {
  if ((await has(dir, OWNER_FILE)) && (await has(dir, MODEL)))
    throw refuse(path.join(dir, MODEL), "a folder without a model that `permafrost train` saved");
}
