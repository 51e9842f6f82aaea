/** Help in the width of the terminal, and where that is narrow, a flag on a line of its own. */
import { type Command, Help } from "commander";
import { columnsOf } from "./terminal.js";

/** For a command and those that are added to it later. 80 columns where neither a terminal nor COLUMNS says another number. */
export function inWidth(command: Command): Command {
  const { padWidth, formatItem } = Help.prototype;
  return command
    .configureOutput({
      getOutHelpWidth: () => columnsOf(process.stdout) ?? 80,
      getErrHelpWidth: () => columnsOf(process.stderr) ?? 80,
    })
    .configureHelp({
      minWidthToWrap: 20,
      // A third for the flags: beside the longest of them, 66 columns, nothing would be left for what it does.
      padWidth: (command, help) => Math.min(padWidth(command, help), Math.floor(help.helpWidth! / 3)),
      formatItem(term, width, text, help) {
        const item = (name: string) => formatItem.call(help, name, width, text, help);
        return term.length > width ? `  ${term}\n${item("")}` : item(term);
      },
    });
}
