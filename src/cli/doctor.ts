import os from "node:os";
import { addon, call } from "../native/call.js";
import type { Context } from "./main.js";

/** Everything a bug report needs. */
export async function doctor({ terminal, json }: Context): Promise<void> {
  const device = addon().listDevices()[0]!;
  const selfTest = await call("selfTest", () => addon().selfTest("auto"));
  const worst = Math.max(...Object.values(selfTest));
  const facts = {
    permafrost: addon().version().addon,
    compiler: addon().version().compiler,
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    threads: device.threads,
    memory: `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB`,
    kernels: device.isas.join(", "),
    bf16: device.bf16,
    selfTest,
    // bf16 products differ from the reference by rounding where sums are split; fp32 by far less.
    healthy: worst < 0.02, // not so for NaN either
  };
  if (!facts.healthy) process.exitCode = 1;
  if (json) return terminal.out(JSON.stringify(facts, null, 2));
  for (const [name, value] of Object.entries(facts)) {
    if (name !== "selfTest") terminal.out(`${name.padEnd(12)} ${value}`);
  }
  for (const [op, difference] of Object.entries(selfTest))
    terminal.out(`  ${op.padEnd(30)} differs from the reference by ${difference.toExponential(1)}`);
}
