/** Which layers matter? Random arm for inference, optimised arm beside it as description. */
import type { Association, GroupFinding, LayerFindings } from "../../analysis/findings.js";
import { correlation, fixed, NONE, plural, probability } from "../../analysis/words.js";
import type { Block, Section, Table } from "../document.js";
import { importancePlot } from "../plots/importance.js";

export function layersSection(layers: LayerFindings): Section {
  const random = layers.arms.find((arm) => arm.arm === "random");
  const blocks: Block[] = [
    { kind: "notice", tone: "result", label: "Layers", text: layers.summary, brief: true },
    { kind: "paragraph", text: layers.power.sentence, brief: true },
    rankingTable(layers),
  ];
  if (random && random.used > 2) {
    blocks.push({
      kind: "figure",
      title: "Importance with intervals",
      alt: `Correlation of each layer's freezing and of its learning rate with the objective, with ${fixed(layers.level * 100, 0)} % intervals. ${layers.summary}`,
      caption:
        `Filled dots: the ${plural(random.used, "random trial")}, with ${fixed(layers.level * 100, 0)} % bootstrap intervals. Ticks: the |r| that this test alone needs. ` +
        "Diamonds: the optimised arm. Its trials depend on each other, so they describe where the search went and are no evidence.",
      plot: importancePlot(layers),
    });
    blocks.push(frozenTable(layers), rateTable(layers));
  }
  return { id: "layers", title: "Which layers matter?", blocks };
}

/** Of groups that tie, the middle of their ranks. */
const rank = (value: number | null | undefined) =>
  fixed(value ?? null, value && !Number.isInteger(value) ? 1 : 0);

const RANKS =
  "Ranks by p. Rate given global: what a layer's rate has of its own, since the search draws one for all layers and an offset each.";

function rankingTable({ ranking, agreement }: LayerFindings): Table {
  return {
    kind: "table",
    caption: "Ranks of the layers by each method, 1 = strongest evidence",
    columns: [
      { label: "Group" },
      { label: "Mean rank", align: "right" },
      { label: "Frozen or not", align: "right" },
      { label: "Rate given global", align: "right" },
      { label: "Reading" },
      { label: "Disagreement", detail: true },
    ],
    rows: ranking.map((row) => [
      row.group,
      fixed(row.meanRank, 1),
      rank(row.ranks["frozen or not"]),
      rank(row.ranks["rate given global"]),
      row.reading,
      row.disagreement ?? NONE,
    ]),
    note:
      agreement === null
        ? RANKS
        : `${RANKS} Agreement of the methods: Kendall's W = ${correlation(agreement)} (1 = same order, .50 = unrelated).`,
    brief: true,
  };
}

function frozenTable(layers: LayerFindings): Table {
  return {
    kind: "table",
    caption: "Frozen or not (r > 0: better when frozen)",
    columns: [
      { label: "Group" },
      { label: "n", align: "right" },
      { label: "Frozen in", align: "right" },
      { label: "Rank-biserial r", align: "right" },
      { label: "Interval", align: "right" },
      { label: "p", align: "right" },
      { label: "q", align: "right" },
      { label: "Point-biserial r", align: "right" },
      { label: "Optimised arm: r (n)", align: "right" },
    ],
    rows: layers.groups.map(({ group, random, optimized }) => [
      group,
      String(random.frozen.trials),
      String(random.frozen.frozenTrials),
      ...inference(random.frozen.rankBiserial),
      correlation(random.frozen.pointBiserial.r),
      described(optimized.frozen.rankBiserial),
    ]),
    note: noteOf(layers, (g) => g.random.frozen.rankBiserial),
  };
}

function rateTable(layers: LayerFindings): Table {
  return {
    kind: "table",
    caption: "log10 rate where trained (r > 0: better when faster)",
    columns: [
      { label: "Group" },
      { label: "n", align: "right" },
      { label: "Given global rate: r", align: "right" },
      { label: "Interval", align: "right" },
      { label: "p", align: "right" },
      { label: "q", align: "right" },
      { label: "Spearman r", align: "right" },
      { label: "Pearson r", align: "right" },
      { label: "Optimised arm: r (n)", align: "right" },
    ],
    rows: layers.groups.map(({ group, random, optimized }) => [
      group,
      String(random.rate.partial.n),
      ...inference(random.rate.partial),
      correlation(random.rate.spearman.r),
      correlation(random.rate.pearson.r),
      described(optimized.rate.partial),
    ]),
    note: noteOf(layers, (g) => g.random.rate.partial),
  };
}

function inference(a: Association): string[] {
  const interval = a.ci === null ? NONE : `${correlation(a.ci.low)} to ${correlation(a.ci.high)}`;
  return [correlation(a.r), interval, probability(a.permutation?.p ?? null), probability(a.q)];
}

function described(a: Association): string {
  return a.r === null ? NONE : `${correlation(a.r)} (${a.n})`;
}

/** Says how p was found, and why cells are empty. */
function noteOf(layers: LayerFindings, read: (group: GroupFinding) => Association): string {
  const method =
    "p: permutation test, two-sided; q: over all groups and methods together (Bonferroni within a group, Benjamini–Hochberg over groups); interval: BCa bootstrap over trials.";
  const empty = layers.groups.flatMap((group) => {
    const { reason } = read(group);
    return reason === null ? [] : [`${group.group}: ${reason}`];
  });
  return empty.length > 0 ? `${method} ${NONE}: ${empty.join("; ")}.` : method;
}
