/** The one file that writes to the terminal: results on stdout, everything else on stderr. */
import process from "node:process";
import { asWriteError } from "../models/atomic.js";
import { messageOf } from "./exit.js";

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

export interface TerminalOptions {
  readonly quiet?: boolean;
  readonly color?: boolean;
  /**
   * What happens when the reader of stdout goes away (`| head`), which is no failure of ours. "exit": nothing is left to
   * do. "mute": the command goes on without it, for the sake of the files it writes.
   */
  readonly onClosed?: "exit" | "mute";
}

/** May be called again once the options are known: the last call decides. */
export function openTerminal(options: TerminalOptions = {}): Terminal {
  const { stdout, stderr, env } = process;
  const lost = new Set<NodeJS.WriteStream>();
  const write = (stream: NodeJS.WriteStream, text: string) => {
    if (!lost.has(stream)) stream.write(text);
  };
  listen(stderr, () => lost.add(stderr));
  listen(stdout, (error) => {
    if (lost.has(stdout)) return;
    lost.add(stdout);
    const mute = options.onClosed === "mute";
    if (error.code === "EPIPE") {
      if (!mute) process.exit(0);
      return terminal.log("standard output was closed; going on without it");
    }
    terminal.error(messageOf(asWriteError(error, "standard output"))!);
    process.exitCode = 1;
    if (!mute) process.exit();
  });
  const isTerminal = Boolean(stderr.isTTY) && !env.CI && !options.quiet;
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "0";
  const color = options.color !== false && (forced || (!env.NO_COLOR && Boolean(stdout.isTTY)));
  let shown = false;
  const clear = () => {
    if (shown) write(stderr, "\r\x1b[2K");
    shown = false;
  };
  const terminal: Terminal = {
    isTerminal,
    color,
    width: Math.min(120, columnsOf(stdout) ?? 100),
    out(text) {
      clear();
      write(stdout, text.endsWith("\n") ? text : `${text}\n`);
    },
    log(line) {
      if (options.quiet) return;
      clear();
      write(stderr, `${line}\n`);
    },
    error(text) {
      clear();
      write(stderr, `${text}\n`);
    },
    status(line) {
      if (!isTerminal) return;
      clear();
      if (line === "") return;
      write(stderr, line.slice(0, Math.max(20, (stderr.columns ?? 100) - 1)));
      shown = true;
    },
  };
  return terminal;
}

/** Of the terminal, else what COLUMNS says, for a pipe; undefined when neither does. At least 40. */
export function columnsOf(stream: NodeJS.WriteStream): number | undefined {
  const columns = stream.columns || Number.parseInt(process.env.COLUMNS ?? "", 10);
  return columns > 0 ? Math.max(40, columns) : undefined;
}

const listeners = new Map<NodeJS.WriteStream, (error: NodeJS.ErrnoException) => void>();

/** One listener a stream: an earlier call's would still act on that call's options. */
function listen(stream: NodeJS.WriteStream, onError: (error: NodeJS.ErrnoException) => void): void {
  const earlier = listeners.get(stream);
  if (earlier) stream.off("error", earlier);
  listeners.set(stream, onError);
  stream.on("error", onError);
}
