// search_cases.mjs — the data of search.mjs: low-volume cuts, written as train, dev and test files both sides read.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const demo = path.join(repository, "packages/demo/data/banking77");
const data = process.env.PERMAFROST_DATA;

/**
 * `folder`: train, dev and test as .jsonl; null where PERMAFROST_DATA does not say. `perClass`: the first rows of a class in
 * md5(text) order (null: the file as it is). `dev`: the first rows only.
 */
export const searchCases = {
  // 12 intents × 16 rows: cut already, by scripts/make-demo-data.mjs.
  banking: { folder: demo, perClass: null, dev: null },
  // 2 classes: 200 rows.
  sst2: { folder: data ? path.join(data, "sst2") : null, perClass: 100, dev: 500 },
  // 10 domains: 120 rows.
  clinc: { folder: data ? path.join(data, "clinc_domain10") : null, perClass: 12, dev: 500 },
};

const md5 = (text) => createHash("md5").update(text, "utf8").digest("hex");

/** Writes the cut into `target` and returns its three paths and their numbers of rows. */
export function writeCut({ folder, perClass, dev }, target) {
  if (folder === null)
    throw new Error("PERMAFROST_DATA: expected the folder that has sst2 and clinc_domain10");
  const rows = (split) => {
    const file = path.join(folder, `${split}.jsonl`);
    if (!existsSync(file)) throw new Error(`${file}: expected a file with text and label, received none`);
    const lines = readFileSync(file, "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => ({ line, ...JSON.parse(line) }));
  };
  const taken = new Map();
  const first = (row) => {
    taken.set(row.label, (taken.get(row.label) ?? 0) + 1);
    return perClass === null || taken.get(row.label) <= perClass;
  };
  const train = rows("train");
  if (perClass !== null) train.sort((a, b) => (md5(a.text) < md5(b.text) ? -1 : 1));
  const cut = {
    train: train.filter(first),
    validation: rows("dev").slice(0, dev ?? undefined),
    test: rows("test"),
  };
  const out = { rows: {} };
  for (const [split, list] of Object.entries(cut)) {
    out[split] = path.join(target, `${split}.jsonl`);
    out.rows[split] = list.length;
    writeFileSync(out[split], list.map(({ line }) => `${line}\n`).join(""));
  }
  return out;
}
