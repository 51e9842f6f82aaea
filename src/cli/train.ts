import type { Resolved } from "../config/resolve.js";
import type { trainOptions } from "../config/schema.js";
import type { TrainEvent } from "../events.js";
import type { ProfileRow } from "../native/contract.js";
import { Run } from "../run.js";
import { runFineTune } from "../train/fine-tune.js";
import type { Context } from "./main.js";
import { bar, duration } from "./progress.js";

export async function trainCommand(
  { config, warnings }: Resolved<typeof trainOptions>,
  context: Context,
): Promise<void> {
  const { terminal, json, progressJson, profile, signal } = context;
  for (const warning of warnings) terminal.log(warning);
  const run = new Run((emit: (event: TrainEvent) => void, stop) => runFineTune(config, emit, stop), signal);
  const begin = performance.now();
  let total = 1;
  for await (const event of run) {
    if (progressJson) terminal.out(JSON.stringify(event));
    if (event.type === "notice") terminal.log(event.message);
    if (event.type === "start") total = event.totalSteps;
    if (event.type === "step") {
      const left = ((performance.now() - begin) / event.step) * (total - event.step);
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
  if (json) return terminal.out(JSON.stringify(profile ? { ...result, profile: rows } : result, null, 2));
  const frozen = Object.keys(result.rates).filter((group) => result.rates[group] === 0);
  terminal.out(
    `validation accuracy ${result.validation.accuracy.toFixed(4)}${result.test ? `, test accuracy ${result.test.accuracy.toFixed(4)}` : ""}`,
  );
  terminal.out(
    `${result.steps} steps in ${duration(result.seconds)}, ${result.trainedParameters} of ${result.parameters} parameters trained, frozen: ${frozen.join(", ") || "nothing"}`,
  );
  terminal.out(`written to ${result.outputDir}`);
  if (profile) for (const line of profileTable(rows)) terminal.out(line);
}

/** Time, arithmetic rate and memory traffic of each kind of operation, the largest first. */
export function profileTable(rows: readonly ProfileRow[]): string[] {
  const total = rows.reduce((sum, row) => sum + row.seconds, 0);
  const header = `${"operation".padEnd(28)}${"calls".padStart(9)}${"ms".padStart(11)}${"share".padStart(8)}${"GFLOP/s".padStart(10)}${"GB/s".padStart(8)}`;
  const lines = [...rows]
    .sort((a, b) => b.seconds - a.seconds)
    .map(({ kind, calls, seconds, flops, bytes }) => {
      const rate = flops > 0 ? (flops / seconds / 1e9).toFixed(0) : "";
      return `${kind.padEnd(28)}${String(calls).padStart(9)}${(seconds * 1e3).toFixed(1).padStart(11)}${`${((100 * seconds) / total).toFixed(1)} %`.padStart(8)}${rate.padStart(10)}${(bytes / seconds / 1e9).toFixed(1).padStart(8)}`;
    });
  return [header, ...lines];
}
