import { defineConfig } from "tsdown";

const shared = { platform: "node", target: "node20", clean: false, report: false } as const;

export default defineConfig([
  {
    ...shared,
    entry: { index: "src/index.ts", tfjs: "src/tfjs.ts", "cli/main": "src/cli/main.ts" },
    format: "esm",
    dts: { entry: ["src/index.ts", "src/tfjs.ts"] },
  },
  {
    ...shared,
    entry: { index: "src/index.ts", tfjs: "src/tfjs.ts" },
    format: "cjs",
    dts: true,
    // In a file of its own: beside an entry the bundler's helper __toESM becomes one of our exports.
    outputOptions: { codeSplitting: { groups: [{ name: "runtime", test: /rolldown\/runtime/ }] } },
  },
]);
