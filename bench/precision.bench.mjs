// precision.bench.mjs — what bf16 products do to test accuracy: the same fine-tuning in fp32 and bf16, seed by seed.
//   PERMAFROST_DATA=… npm run bench -- precision          writes results/precision-<kernels>.json
// The low-volume cuts of contenders/search_cases.mjs, MiniLM-L6, uniform 5e-5 and 1e-3 for the head, 10 epochs, batch 16,
// dropout as configured. Beside the mean difference stands what seeds alone do: the standard deviation over them in fp32.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { fineTune } from "../dist/index.mjs";
import { searchCases, writeCut } from "./contenders/search_cases.mjs";
import { writeResult } from "./support.mjs";

const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1);
const model = fileURLToPath(new URL("../packages/demo/model", import.meta.url));
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values) =>
  Math.sqrt(values.reduce((sum, x) => sum + (x - mean(values)) ** 2, 0) / (values.length - 1));

const cases = [];
for (const [name, how] of Object.entries(searchCases)) {
  if (how.folder === null) {
    console.log(`${name}: left out, PERMAFROST_DATA is not set`);
    continue;
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), "permafrost-precision-"));
  try {
    const { rows, train, validation, test } = writeCut(how, folder);
    const accuracy = { fp32: [], bf16: [] };
    for (const seed of SEEDS)
      for (const precision of ["fp32", "bf16"]) {
        const result = await fineTune({
          ...{ model, train, validation, test, precision, seed },
          outputDir: path.join(folder, "out"),
          numTrainEpochs: 10,
          learningRate: 5e-5,
          learningRatePerLayer: { head: 1e-3 },
          evalStrategy: "no",
          loadBestModelAtEnd: false,
        });
        accuracy[precision].push(result.test.accuracy);
        rmSync(path.join(folder, "out"), { recursive: true });
      }
    const differences = accuracy.bf16.map((value, i) => value - accuracy.fp32[i]);
    const row = {
      case: name,
      rows,
      fp32: { mean: mean(accuracy.fp32), sd: deviation(accuracy.fp32) },
      bf16: { mean: mean(accuracy.bf16), sd: deviation(accuracy.bf16) },
      difference: { mean: mean(differences), se: deviation(differences) / Math.sqrt(SEEDS.length) },
      accuracy,
    };
    cases.push(row);
    const points = (x) => (100 * x).toFixed(2);
    console.log(
      `${name}: fp32 ${points(row.fp32.mean)} ± ${points(row.fp32.sd)}  bf16 ${points(row.bf16.mean)} ± ${points(row.bf16.sd)}  difference ${points(row.difference.mean)} ± ${points(row.difference.se)} (standard error, ${SEEDS.length} seeds)`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
writeResult("precision", { seeds: SEEDS, cases });
