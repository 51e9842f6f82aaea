// tfjs_step.mjs — times training steps of tfjs_model.mjs; one JSON line a sample, as permafrost_step.mjs. One thread: the
// wasm backend has no threads under Node. run.mjs calls it.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { tokens } from "../support.mjs";

const spec = JSON.parse(process.argv[2]);
const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-tfjs-"));
try {
  const bundle = await rolldown({
    input: fileURLToPath(new URL("./tfjs_model.mjs", import.meta.url)),
    platform: "node",
    logLevel: "silent",
  });
  await bundle.write({ file: path.join(folder, "model.cjs"), format: "cjs", codeSplitting: false });
  const require = createRequire(import.meta.url);
  const { start, makeStep } = require(path.join(folder, "model.cjs"));
  await start(`${path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"))}/dist/`);

  const [length] = spec.row_lengths;
  const labels = spec.labels ?? 12;
  const step = makeStep(spec.dims, spec.batch, length, labels);
  const ids = tokens(spec.batch * length, spec.dims.vocab);
  const targets = Array.from({ length: spec.batch }, (_, i) => i % labels);
  step(ids, targets);
  const version = require("@tensorflow/tfjs-core/package.json").version;
  for (let sample = 0; sample < (spec.samples ?? 3); sample++) {
    const begin = performance.now();
    step(ids, targets);
    console.log(
      JSON.stringify({
        ms: performance.now() - begin,
        tokens: spec.batch * length,
        rss_mb: process.resourceUsage().maxRSS / 1024,
        version,
      }),
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
