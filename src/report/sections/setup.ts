/** What was run, on what, so that someone else can run it again. */
import { large } from "../../analysis/words.js";
import type { Block, Section } from "../document.js";
import type { SearchFindings } from "../findings.js";

export function setupSection({ study }: SearchFindings): Section {
  const { model, data, options, versions, machine } = study;
  const pairs = (caption: string, entries: readonly (readonly [string, unknown])[]): Block => ({
    kind: "table",
    caption,
    columns: [{ label: "Name" }, { label: "Value" }],
    rows: entries.map(([key, value]) => [key, value === null ? "not set" : String(value)]),
  });
  const blocks: Block[] = [
    pairs("Model", [
      ["Name", model.name],
      ["Family", model.family],
      ["Layers", model.layers],
      ["Parameters", large(model.parameters)],
      ["SHA-256 over the tensors as fp32", model.sha256 ?? "not taken"],
    ]),
    {
      kind: "table",
      caption: "Data",
      columns: [
        { label: "Role" },
        { label: "File" },
        { label: "Rows", align: "right" },
        { label: "Labels", align: "right" },
        { label: "SHA-256" },
      ],
      rows: data.map((file) => [
        file.role,
        file.path,
        String(file.rows),
        String(file.labels),
        file.sha256 ?? "not taken",
      ]),
    },
    pairs("Options", Object.entries(options)),
    pairs("Versions and machine", [...Object.entries(versions), ...Object.entries(machine)]),
  ];
  return { id: "setup", title: "What was run", blocks };
}
