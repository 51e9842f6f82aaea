import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkSearchTarget, checkTarget } from "../../../src/train/target.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-target-"));
const at = (...names: string[]) => path.join(folder, ...names);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function folderOf(name: string, ...files: string[]): string {
  mkdirSync(at(name));
  for (const file of files) writeFileSync(at(name, file), "{}");
  return at(name);
}
const refused = (received: string) => ({
  code: "ERR_OUTPUT_DIR",
  issues: [{ path: "output_dir", received }],
});

test("a new folder, an empty one, and one of an earlier training are taken", async () => {
  const model = folderOf("model", "config.json");
  await checkTarget(at("none", "yet"), model);
  await checkTarget(folderOf("empty"), model);
  await checkTarget(folderOf("earlier", "config.json", "README.md", "layers.json"), model);
  await checkTarget(folderOf("notes", "notes.md"), model);
});

test("the model's own folder is not, by whatever path", async () => {
  const model = folderOf("source", "config.json", "layers.json");
  symlinkSync(model, at("link"), "junction");
  for (const same of [model, at("empty", "..", "source"), at("link")])
    await expect(checkTarget(same, model)).rejects.toMatchObject(refused(same));
  await expect(checkTarget(model, at("link"))).rejects.toMatchObject(refused(model));
});

test("nor one with a README.md or config.json of somebody else's", async () => {
  const model = at("any");
  for (const name of ["README.md", "config.json"]) {
    const dir = folderOf(`with ${name}`, name);
    await expect(checkTarget(dir, model)).rejects.toMatchObject(refused(path.join(dir, name)));
  }
});

test("a training and a search do not share a folder: both have a layers.json", async () => {
  const model = at("any");
  for (const name of ["report.json", "study.db"]) {
    const dir = folderOf(`a search's ${name}`, name, "layers.json");
    await expect(checkTarget(dir, model)).rejects.toMatchObject(refused(path.join(dir, name)));
    await checkSearchTarget(dir);
  }
  const trained = folderOf("trained", "config.json", "layers.json", "model.safetensors");
  await checkTarget(trained, model);
  await expect(checkSearchTarget(trained)).rejects.toMatchObject(
    refused(path.join(trained, "model.safetensors")),
  );
  // A model from elsewhere: nothing of it is replaced.
  await checkSearchTarget(folderOf("from elsewhere", "config.json", "model.safetensors"));
});
