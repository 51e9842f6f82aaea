/** What --help says, and how wide. */
import { Command } from "commander";
import { afterEach, expect, test, vi } from "vitest";
import { demoDefaults, demoHelp } from "../../../src/cli/demo.js";
import { addFlags } from "../../../src/cli/flags.js";
import { inWidth } from "../../../src/cli/help.js";
import { openTerminal } from "../../../src/cli/terminal.js";
import { searchOptions, trainOptions } from "../../../src/config/schema.js";

afterEach(() => vi.unstubAllEnvs());

const searchHelp = (defaults = {}) =>
  addFlags(inWidth(new Command("search")), searchOptions, defaults).helpInformation();
const longest = (text: string) => Math.max(...text.split("\n").map((line) => [...line].length));

test.each([40, 60, 80, 100, 132])("in %i columns no line is longer, unless it is one flag", (columns) => {
  vi.stubEnv("COLUMNS", String(columns));
  for (const table of [searchOptions, trainOptions]) {
    const help = addFlags(inWidth(new Command("x")), table).helpInformation();
    const lines = help.split("\n").filter((line) => !/^ {2}--\S+ <\S+>$/.test(line));
    expect(longest(lines.join("\n"))).toBeLessThanOrEqual(columns);
    expect(longest(help)).toBeGreaterThan(columns - 15);
  }
});

test("80 columns in a pipe, unless COLUMNS is another number", () => {
  vi.stubEnv("COLUMNS", "");
  const plain = searchHelp();
  for (const said of ["80", "0", "many"]) {
    vi.stubEnv("COLUMNS", said);
    expect(searchHelp(), said).toBe(plain);
  }
  vi.stubEnv("COLUMNS", "100");
  expect(searchHelp()).not.toBe(plain);
});

test.each([
  ["", 100],
  ["20", 40],
  ["72", 72],
  ["400", 120],
])("results in a pipe with COLUMNS=%s: %i columns", (columns, width) => {
  vi.stubEnv("COLUMNS", columns);
  expect(openTerminal().width).toBe(width);
});

test("the demo's defaults are those it has", async () => {
  vi.stubEnv("COLUMNS", "120");
  const help = searchHelp(demoHelp).replace(/\n +/g, " ");
  const [sizes, files] = [/^\d+$|^permafrost-demo-out$/, /permafrost-demo\/(.*)$/];
  for (const [name, value] of Object.entries(await demoDefaults())) {
    const flag = help.split(/(?=--[a-z])/).find((text) => text.replace(/-/g, "_").startsWith(`__${name} `))!;
    expect(flag.match(/default: /g), name).toHaveLength(1);
    const shown = /\(default: (.*)\)/.exec(flag)![1]!;
    if (sizes.test(String(value))) expect(shown, name).toBe(String(value));
    else expect(String(value).replaceAll("\\", "/"), name).toMatch(files.exec(shown)![1]!);
  }
  expect(Object.keys(demoHelp).sort()).toEqual(Object.keys(await demoDefaults()).sort());
});
