import { execFileSync } from "node:child_process";

/**
 * A Python that can import `module`: PERMAFROST_PYTHON, then python3. Null where there is none: the test skips, and the log
 * says why, because a reporter that only counts skipped tests would hide it.
 */
export function pythonWith(module: string): string | null {
  for (const python of [process.env.PERMAFROST_PYTHON, "python3"]) {
    if (!python) continue;
    try {
      execFileSync(python, ["-c", `import ${module}`], { stdio: "ignore", timeout: 60_000 });
      return python;
    } catch {
      // try the next
    }
  }
  console.warn(`skipped: no Python with ${module}; PERMAFROST_PYTHON names one`);
  return null;
}
