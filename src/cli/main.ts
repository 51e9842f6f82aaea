#!/usr/bin/env node
/**
 * The command line: work is done through the public API (../index.js) alone; beside it only the option tables, the reader of
 * rows and `Model.predictSlices` to print them as they are done, the words for numbers and what doctor asks of the addon.
 * Results on stdout, everything else on stderr.
 */
import { Command, CommanderError, Option } from "commander";
import type { OptionSpec } from "../config/option.js";
import { predictOptions, searchOptions, trainOptions } from "../config/schema.js";
import { demoDefaults, demoHelp } from "./demo.js";
import { doctor } from "./doctor.js";
import { exitCodeOf, messageOf } from "./exit.js";
import { addFlags, normaliseFlags, readOptions } from "./flags.js";
import { inWidth } from "./help.js";
import { predictCommand } from "./predict.js";
import { reportCommand } from "./report.js";
import { searchCommand } from "./search.js";
import { openTerminal, type Terminal } from "./terminal.js";
import { trainCommand } from "./train.js";
import { packageVersion } from "./version.js";

/** Commands whose result is files: they go on when nobody reads stdout any more, and end in order when they are stopped. */
const WRITES_FILES = ["search", "demo", "train"];

const allOptions: Record<string, OptionSpec> = { ...predictOptions, ...trainOptions, ...searchOptions };

export interface Context {
  readonly terminal: Terminal;
  readonly json: boolean;
  /** --progress=json: events and the result as lines on stdout. */
  readonly progressJson: boolean;
  readonly profile: boolean;
  readonly signal: AbortSignal;
}

export function buildProgram(
  run: (command: Command, work: (context: Context) => Promise<void>) => Promise<void>,
): Command {
  const program = inWidth(new Command("permafrost"))
    .description(
      "Searches a learning rate for each layer of a pretrained transformer (0 = frozen), trains the winner, and says whether it helped.",
    )
    .option("-V, --version", "output the version number")
    .showSuggestionAfterError()
    .exitOverride();
  program.on("option:version", () => {
    openTerminal().out(packageVersion());
    throw new CommanderError(0, "commander.version", packageVersion());
  });
  const events = () =>
    new Option(
      "--progress <kind>",
      "every event as a line of JSON on stdout, and the result as the last",
    ).choices(["json"]);
  const add = (name: string, description: string, json = "one JSON document on stdout") =>
    program
      .command(name)
      .description(description)
      .option("--json", json)
      .option("-q, --quiet", "no progress, no notices")
      .option("--no-color", "no colours");

  const search = addFlags(
    add("search", "search rates, train the winner, compare with a uniform rate").addOption(events()),
    searchOptions,
  );
  search.action(() =>
    run(search, async (context) => searchCommand(await readOptions(search, searchOptions), context)),
  );

  const demo = addFlags(
    add("demo", "search on the model and the banking questions of permafrost-demo").addOption(events()),
    searchOptions,
    demoHelp,
  );
  demo.action(() =>
    run(demo, async (context) =>
      searchCommand(await readOptions(demo, searchOptions, await demoDefaults()), context),
    ),
  );

  const train = addFlags(
    add("train", "train one configuration")
      .addOption(events())
      .option("--profile", "print time per kind of operation"),
    trainOptions,
  );
  train.action(() =>
    run(train, async (context) => trainCommand(await readOptions(train, trainOptions), context)),
  );

  const predict = addFlags(
    add("predict", "classify the rows of a file", "a line of JSON a row on stdout").requiredOption(
      "--input <file>",
      "rows with text[,text_b]; - is standard input",
    ),
    predictOptions,
  );
  predict.action(() =>
    run(predict, async (context) =>
      predictCommand(await readOptions(predict, predictOptions), String(predict.opts().input), context),
    ),
  );

  const report = add("report", "render a report.json again")
    .argument("<file>", "report.json of a search")
    .option("--html <file>", "write HTML there");
  report.action((file: string) =>
    run(report, (context) => reportCommand(file, report.opts().html as string | undefined, context)),
  );

  const check = add("doctor", "what this machine has, and whether it computes right");
  check.action(() => run(check, doctor));
  return program;
}

async function main(argv: readonly string[]): Promise<void> {
  const stop = new AbortController();
  let stoppedBy: NodeJS.Signals | undefined;
  let terminal = openTerminal();
  let running: string | undefined;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      const inOrder = stoppedBy === undefined && WRITES_FILES.includes(running ?? "");
      const reason = new DOMException(`stopped by ${name}`, "AbortError");
      stoppedBy = name;
      if (inOrder) return stop.abort(reason);
      terminal.error(messageOf(reason, name, running)!);
      process.exit(exitCodeOf(reason, name));
    });
  }
  const program = buildProgram(async (command, work) => {
    const { json = false, progress, quiet = false, color, profile = false } = command.opts();
    running = command.name();
    terminal = openTerminal({ quiet, color, onClosed: WRITES_FILES.includes(running) ? "mute" : "exit" });
    await work({ terminal, json, progressJson: progress === "json", profile, signal: stop.signal });
  });
  try {
    await program.parseAsync(normaliseFlags(argv, allOptions));
  } catch (error) {
    process.exitCode = exitCodeOf(error, stoppedBy);
    const message = messageOf(error, stoppedBy, running);
    if (message) terminal.error(message);
  }
}

await main(process.argv);
