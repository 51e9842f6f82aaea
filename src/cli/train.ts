import { duration } from "../analysis/words.js";
import type { Resolved } from "../config/resolve.js";
import type { trainOptions } from "../config/schema.js";
import { fineTune, measurePeak } from "../index.js";
import type { Context } from "./main.js";
import { profileTable } from "./profile.js";
import { bar, cacheLines } from "./progress.js";

export async function trainCommand(
  { config, warnings }: Resolved<typeof trainOptions>,
  context: Context,
): Promise<void> {
  const { terminal, json, progressJson, profile, signal } = context;
  for (const warning of warnings) terminal.log(warning);
  const run = fineTune({ ...config, signal });
  const begin = performance.now();
  let total = 1;
  let done = 0; // by this process: a run may have gone on from a checkpoint
  for await (const event of run) {
    if (progressJson) terminal.out(JSON.stringify(event));
    if (event.type === "notice") terminal.log(event.message);
    if (event.type === "start") total = event.totalSteps;
    if (event.type === "step") {
      const left = ((performance.now() - begin) / ++done) * (total - event.step);
      terminal.status(
        `${bar(event.step, total)} step ${event.step}/${total}  loss ${event.loss.toFixed(3)}  ${duration(left / 1e3)} left`,
      );
    }
    if (event.type === "evaluation") {
      terminal.log(
        `epoch ${event.epoch.toFixed(2)}  validation accuracy ${event.accuracy.toFixed(4)}  loss ${event.loss.toFixed(4)}${event.best ? "  best" : ""}`,
      );
    }
  }
  const { profile: rows, ...result } = await run;
  const peak = profile ? await measurePeak(config) : null;
  const document = peak ? { ...result, profile: rows, peak } : result;
  if (progressJson) return terminal.out(JSON.stringify({ type: "result", ...document }));
  if (json) return terminal.out(JSON.stringify(document, null, 2));
  const frozen = Object.keys(result.rates).filter((group) => result.rates[group] === 0);
  terminal.out(
    `validation accuracy ${result.validation.accuracy.toFixed(4)}${result.test ? `, test accuracy ${result.test.accuracy.toFixed(4)}` : ""}`,
  );
  terminal.out(
    `${result.steps} steps in ${duration(result.seconds)}, ${result.trainedParameters} of ${result.parameters} parameters trained, frozen: ${frozen.join(", ") || "nothing"}`,
  );
  for (const line of cacheLines(result.cache)) terminal.out(line);
  terminal.out(`written to ${result.outputDir}`);
  if (peak) {
    const ceiling = {
      gflops: peak.fp32 / 1e9,
      linearGflops: peak[config.precision] / 1e9,
      gbps: peak.stream / 1e9,
    };
    for (const line of profileTable(rows, ceiling)) terminal.out(line);
  }
}
