import { CommanderError } from "commander";
import { ConfigError, DataError, ModelError, PermafrostError, StoreError } from "../errors.js";

/** 0 ok; 1 failure; 2 usage, config, data or model; 3 no trial succeeded; 4 storage; 130 SIGINT; 143 SIGTERM. */
export function exitCodeOf(error: unknown, stoppedBy?: NodeJS.Signals): number {
  if (stoppedBy) return stoppedBy === "SIGINT" ? 130 : 143;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError || error instanceof DataError || error instanceof ModelError) return 2;
  if (error instanceof StoreError) return 4;
  if (error instanceof PermafrostError && error.code === "ERR_NO_TRIAL") return 3;
  return 1;
}

/** What the user reads; null when it was said already. A stack only for what is a bug of ours. */
export function messageOf(error: unknown, stoppedBy?: NodeJS.Signals, command?: string): string | null {
  if (stoppedBy) return `stopped by ${stoppedBy}${goingOn(command)}`;
  if (error instanceof CommanderError) return null;
  if (error instanceof PermafrostError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** How a command that was stopped is taken up again. */
function goingOn(command: string | undefined): string {
  if (command === "search" || command === "demo") return "; --resume goes on with it";
  if (command === "train")
    return "; --resume_from_checkpoint goes on from a checkpoint-<step> folder, where --save_steps made one";
  return "";
}
