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
  },
]);
