// run.mjs — the menu of benches: `npm run bench` lists them, `npm run bench -- freeze` runs that one.
import { readdirSync } from "node:fs";

const names = readdirSync(new URL(".", import.meta.url))
  .filter((f) => f.endsWith(".bench.mjs"))
  .map((f) => f.replace(".bench.mjs", ""));
const wanted = process.argv.slice(2).filter((a) => !a.startsWith("-"));
const unknown = wanted.filter((w) => !names.includes(w));
if (wanted.length === 0 || unknown.length > 0) {
  console.log(
    `usage: npm run bench -- NAME …\nbenches: ${names.join(", ")}\nagainst PyTorch and tfjs: bench/contenders/README.md`,
  );
  process.exit(unknown.length > 0 ? 2 : 0);
}
for (const name of wanted) await import(`./${name}.bench.mjs`);
