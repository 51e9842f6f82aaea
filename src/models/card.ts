/** The README.md of an exported folder: Hugging Face's model card, with what the metadata parser of the hub reads. */

export interface CardMetric {
  /** Hugging Face's name: "accuracy", "f1". */
  readonly type: string;
  readonly value: number;
  /** "test", "validation". */
  readonly split: string;
}

export interface CardData {
  /** Title, and the name in model-index. */
  readonly name: string;
  /** Name of the pretrained model. */
  readonly baseModel: string;
  /** Its id on the hub, where it has one: the hub takes no other for `base_model`. */
  readonly baseModelId?: string;
  /** Name of the training rows. */
  readonly dataset: string;
  readonly metrics: readonly CardMetric[];
  readonly license?: string;
  /** Beside "text-classification" and "permafrost". */
  readonly tags?: readonly string[];
  /** Learning rate per group, 0 = frozen: "embeddings", "layer.0", …, "head". */
  readonly learningRates?: Readonly<Record<string, number>>;
  /** Hyperparameters, by Hugging Face's names. */
  readonly hyperparameters?: Readonly<Record<string, string | number | boolean>>;
  /** Sentences for the top of the page: what was trained, and whether it helped. */
  readonly summary?: string;
  /** Set by the export. */
  readonly pooling?: "cls" | "mean";
}

/** Markdown with a YAML head. */
export function modelCard(card: CardData): string {
  const parts = [
    `---\n${yaml(card)}---\n\n# ${card.name}\n`,
    card.summary ?? `A text classifier: ${card.baseModel} fine-tuned on ${card.dataset}.`,
    usage(card),
  ];
  if (card.metrics.length > 0) {
    parts.push(
      "## Results\n",
      table(
        ["metric", "split", "value"],
        card.metrics.map(({ type, split, value }) => [type, split, value.toFixed(4)]),
      ),
    );
  }
  if (card.learningRates) {
    const rows = Object.entries(card.learningRates).map(([group, rate]) => [
      group,
      rate === 0 ? "0 (frozen)" : String(rate),
    ]);
    parts.push("## Learning rate of each layer\n", table(["group", "learning rate"], rows));
  }
  if (card.hyperparameters) {
    const rows = Object.entries(card.hyperparameters).map(([name, value]) => [`\`${name}\``, String(value)]);
    parts.push("## Training\n", table(["argument", "value"], rows));
  }
  return `${parts.join("\n")}\n`;
}

function usage({ pooling }: CardData): string {
  if (pooling !== "mean") return "";
  return (
    "\n> **Mean pooling.** The head reads the mean over token states (`permafrost_pooling` in config.json).\n" +
    "> `AutoModelForSequenceClassification` cannot represent that: it would put a new, untrained pooler on the first token.\n" +
    "> Load this folder with permafrost.\n"
  );
}

/** Strings are written as JSON strings, which YAML reads as they are. */
function yaml(card: CardData): string {
  const q = (text: string) => JSON.stringify(text);
  const types = [...new Set(card.metrics.map((metric) => metric.type))];
  const tags = ["text-classification", "permafrost", ...(card.tags ?? [])];
  const list = (name: string, items: readonly string[]) =>
    items.length === 0 ? "" : `${name}:\n${items.map((item) => `  - ${q(item)}\n`).join("")}`;
  const metrics = card.metrics.map(
    ({ type, value, split }) =>
      `          - type: ${q(type)}\n            value: ${value}\n            name: ${q(`${type} (${split})`)}\n`,
  );
  const index =
    card.metrics.length === 0
      ? ""
      : `model-index:\n  - name: ${q(card.name)}\n    results:\n` +
        "      - task:\n          type: text-classification\n          name: Text Classification\n" +
        `        dataset:\n          name: ${q(card.dataset)}\n          type: ${q(card.dataset)}\n` +
        `        metrics:\n${metrics.join("")}`;
  return (
    `library_name: transformers\n${card.license ? `license: ${q(card.license)}\n` : ""}` +
    `${card.baseModelId ? `base_model: ${q(card.baseModelId)}\n` : ""}pipeline_tag: text-classification\n` +
    `${list("tags", tags)}${list("metrics", types)}${index}`
  );
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(header) + line(header.map(() => "---")) + rows.map(line).join("");
}
