import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { exitCodeOf, messageOf } from "../../../src/cli/exit.js";
import {
  ConfigError,
  DataError,
  ModelError,
  PermafrostError,
  StoreError,
  TrainingError,
} from "../../../src/errors.js";

test.each([
  [2, new ConfigError("ERR_CONFIG", "1 problem", [])],
  [2, new DataError("ERR_ONE_CLASS", "one class", [])],
  [2, new ModelError("ERR_NO_CLASSIFIER", "cannot predict", [])],
  [2, new CommanderError(1, "commander.unknownOption", "unknown option")],
  [0, new CommanderError(0, "commander.helpDisplayed", "")],
  [3, new TrainingError("ERR_NO_TRIAL", "no trial completed", [])],
  [1, new TrainingError("ERR_NAN_LOSS", "not finite", [])],
  [4, new StoreError("ERR_STORE_FULL", "full", [])],
  [1, new PermafrostError("ERR_WRITE", "not written", [])],
  [1, new TypeError("a bug")],
  [1, "no error at all"],
])("code %i: %s", (code, error) => {
  expect(exitCodeOf(error)).toBe(code);
  // Whatever the stop turned into on its way up, the signal decides.
  expect([exitCodeOf(error, "SIGINT"), exitCodeOf(error, "SIGTERM")]).toEqual([130, 143]);
});

test("a stack for what is a bug alone; commander has spoken already; a stop says how to go on", () => {
  const bug = new TypeError("a bug");
  expect(messageOf(bug)).toBe(bug.stack);
  const issue = { path: "seed", expected: "a number", received: "x" };
  const known = new ConfigError("ERR_CONFIG", "1 problem", [issue]);
  expect(messageOf(known)).toBe(`ERR_CONFIG: ${known.message}`);
  expect(messageOf(known)).not.toContain("    at ");
  expect(messageOf(new CommanderError(1, "commander.unknownOption", "unknown option"))).toBeNull();
  const stopped = (command?: string) => messageOf(known, "SIGTERM", command);
  expect(stopped("search")).toBe("stopped by SIGTERM; --resume goes on with it");
  expect(stopped("demo")).toBe(stopped("search"));
  expect(stopped("train")).toMatch(/^stopped by SIGTERM; --resume_from_checkpoint /);
  for (const command of ["predict", "report", undefined]) expect(stopped(command)).toBe("stopped by SIGTERM");
});
