import os from "node:os";
import { addon, call } from "../native/call.js";
import { machineMemory, machineThreads } from "../native/machine.js";
import type { Context } from "./main.js";
import { packageVersion } from "./version.js";

/** Everything a bug report needs, also where the core does not load: then this is what one is about. */
export async function doctor({ terminal, json }: Context): Promise<void> {
  const machine = {
    permafrost: packageVersion(),
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    memory: `${(machineMemory() / 2 ** 30).toFixed(1)} GiB`,
  };
  const show = (facts: Record<string, unknown>, selfTest: Record<string, number> = {}) => {
    if (json) return terminal.out(JSON.stringify({ ...facts, selfTest }, null, 2));
    for (const [name, value] of Object.entries(facts)) terminal.out(`${name.padEnd(12)} ${value}`);
    for (const [op, difference] of Object.entries(selfTest))
      terminal.out(`  ${op.padEnd(30)} differs from the reference by ${difference.toExponential(1)}`);
  };
  try {
    const { selfTest, ...core } = await coreFacts();
    if (!core.healthy) process.exitCode = 1;
    show({ ...machine, ...core }, selfTest);
  } catch (error) {
    show({ ...machine, healthy: false });
    throw error;
  }
}

async function coreFacts() {
  const { compiler } = addon().version();
  const device = addon().listDevices()[0]!;
  const selfTest = await call("selfTest", () => addon().selfTest("auto"));
  return {
    ...{ compiler, threads: machineThreads() },
    kernels: device.isas.join(", "),
    bf16: device.bf16,
    selfTest,
    // bf16 products differ from the reference by rounding where sums are split; fp32 by far less. Not so for NaN either.
    healthy: Math.max(...Object.values(selfTest)) < 0.02,
  };
}
