// make-demo-data.mjs — the demo's low-volume cuts, from folders with the whole sets (train, dev, test as .jsonl).
//
//   node scripts/make-demo-data.mjs <folder of banking77> packages/demo/data/banking77 12 16
//
// Keeps the first `classes` labels in md5(label) order (0: all) and, of each, the first `rows` training rows in md5(text)
// order. Dev and test keep every row of these labels, in their order. Lines are copied byte for byte.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const [source, target, classes, rows] = process.argv.slice(2);
if (!source || !target || !(Number(classes) >= 0) || !(Number(rows) > 0)) {
  console.error(
    "usage: node scripts/make-demo-data.mjs <source folder> <target folder> <classes, 0 = all> <training rows per class>",
  );
  process.exit(2);
}

const md5 = (text) => createHash("md5").update(text, "utf8").digest("hex");
const byHash = (a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0);

const read = (split) =>
  readFileSync(path.join(source, `${split}.jsonl`), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ line, ...JSON.parse(line) }));

const train = read("train");
const labels = [...new Set(train.map((row) => String(row.label)))]
  .map((label) => ({ label, hash: md5(label) }))
  .sort(byHash)
  .slice(0, Number(classes) || undefined)
  .map(({ label }) => label);
const kept = new Set(labels);

const taken = new Map();
const cut = {
  train: train
    .filter((row) => kept.has(String(row.label)))
    .map((row) => ({ ...row, hash: md5(row.text) }))
    .sort(byHash)
    .filter(({ label }) => {
      taken.set(label, (taken.get(label) ?? 0) + 1);
      return taken.get(label) <= Number(rows);
    }),
  dev: read("dev").filter((row) => kept.has(String(row.label))),
  test: read("test").filter((row) => kept.has(String(row.label))),
};

mkdirSync(target, { recursive: true });
for (const [split, lines] of Object.entries(cut)) {
  writeFileSync(path.join(target, `${split}.jsonl`), lines.map(({ line }) => `${line}\n`).join(""));
}
console.log(
  `${labels.length} labels; rows: ${Object.entries(cut)
    .map(([split, lines]) => `${split} ${lines.length}`)
    .join(", ")}`,
);
