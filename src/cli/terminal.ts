/** The one file that writes to the terminal: results on stdout, everything else on stderr. */
import process from "node:process";

export interface Terminal {
  /** stdout: results only. */
  out(text: string): void;
  /** stderr: notices and logs, a line each. Silent with --quiet. */
  log(line: string): void;
  /** stderr: errors, also with --quiet. */
  error(text: string): void;
  /** stderr: a line that replaces itself; only on a terminal, else dropped. "" clears it. */
  status(line: string): void;
  readonly isTerminal: boolean;
  readonly color: boolean;
  readonly width: number;
}

export function openTerminal(options: { readonly quiet?: boolean; readonly color?: boolean } = {}): Terminal {
  const { stdout, stderr, env } = process;
  // A reader that went away (`| head`) is no failure of ours.
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  }
  const isTerminal = Boolean(stderr.isTTY) && !env.CI && !options.quiet;
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "0";
  const color = options.color !== false && (forced || (!env.NO_COLOR && Boolean(stdout.isTTY)));
  let shown = false;
  const clear = () => {
    if (shown) stderr.write("\r\x1b[2K");
    shown = false;
  };
  return {
    isTerminal,
    color,
    width: Math.max(60, Math.min(120, stdout.columns ?? 100)),
    out(text) {
      clear();
      stdout.write(text.endsWith("\n") ? text : `${text}\n`);
    },
    log(line) {
      if (options.quiet) return;
      clear();
      stderr.write(`${line}\n`);
    },
    error(text) {
      clear();
      stderr.write(`${text}\n`);
    },
    status(line) {
      if (!isTerminal) return;
      clear();
      if (line === "") return;
      stderr.write(line.slice(0, Math.max(20, (stderr.columns ?? 100) - 1)));
      shown = true;
    },
  };
}
