/** Did it beat plain fine-tuning, and at what cost? */
import type { ArmSummary, Comparison, CostRatio } from "../../analysis/findings.js";
import { expectedMaximum } from "../../analysis/power.js";
import {
  duration,
  fixed,
  groupList,
  large,
  NONE,
  percent,
  plural,
  points,
  probability,
} from "../../analysis/words.js";
import type { Block, Section, Table } from "../document.js";
import type { SearchFindings } from "../findings.js";
import { comparisonPlot } from "../plots/comparison.js";

export function verdictSection(findings: SearchFindings): Section {
  const { comparisons, winner } = findings;
  const blocks: Block[] = [testReads(findings), ...comparisons.flatMap((c) => comparisonBlocks(c, findings))];
  if (comparisons.length === 0) {
    const text = "Nothing here says whether the search beats plain fine-tuning.";
    blocks.push({ kind: "notice", tone: "warning", label: "No comparison", text, brief: true });
    if (winner) blocks.push(...aloneBlocks(winner, findings));
  }
  const best = comparisons[0]?.winner ?? winner;
  if (best) blocks.push(optimismBlock(best, findings));
  return { id: "verdict", title: "Does it beat plain fine-tuning?", blocks };
}

function testReads({ study, winner }: SearchFindings): Block {
  const times = study.testReadAt;
  if (times.length > 1)
    return {
      kind: "notice",
      tone: "warning",
      label: "Test set read more than once",
      text: `The test rows were read ${times.length} times (${times.join(", ")}). Every look after the first makes the numbers below too good.`,
      brief: true,
    };
  const text =
    times.length === 1
      ? `The test set was read once, at ${times[0]}, after the search had ended and ${winner ? "its configuration was" : "both configurations were"} fixed.`
      : "The test set has not been read.";
  return { kind: "paragraph", text };
}

function comparisonBlocks(comparison: Comparison, { majority }: SearchFindings): Block[] {
  const { verdict, winner, baseline } = comparison;
  return [
    {
      kind: "notice",
      tone: "result",
      label: "Verdict",
      text: verdict.sentence,
      more: [...(verdict.cost === null ? [] : [verdict.cost]), ...verdict.caveats],
      brief: true,
    },
    accuracyTable([winner, baseline], comparison.rows, majority),
    {
      kind: "figure",
      title: `${winner.name} and ${baseline.name} on the test set`,
      alt:
        `Mean test accuracy ${percent(winner.test.mean)} % for ${winner.name} and ${percent(baseline.test.mean)} % for ${baseline.name}; ` +
        `difference ${points(comparison.difference.mean)} points, interval ${points(comparison.difference.ci.low)} to ${points(comparison.difference.ci.high)}.`,
      caption: `Left: one line a seed, bars at the means. Right: the differences and the interval over seeds and rows; the grey band is the margin of ±${percent(verdict.margin)} points within which the two are called equal.`,
      plot: comparisonPlot(comparison),
    },
    testTable(comparison),
    costTable([winner, baseline], comparison.costRatio),
  ];
}

/** A winner with nothing beside it: what it reached and what it cost. */
function aloneBlocks(winner: ArmSummary, { study, majority }: SearchFindings): Block[] {
  const rows = study.data.find((file) => file.role === "test")?.rows ?? 0;
  return [accuracyTable([winner], rows, majority), costTable([winner])];
}

function accuracyTable(
  arms: readonly ArmSummary[],
  rows: number,
  majority: SearchFindings["majority"],
): Table {
  const row = (arm: ArmSummary) => [
    arm.name,
    plainTrials(arm),
    percent(arm.bestValidation),
    `${percent(arm.test.mean)} ± ${percent(arm.test.sd)}`,
    String(arm.test.n),
    percent(arm.testStandardError),
    points(arm.optimism),
    arm.frozenGroups.length > 0 ? groupList(arm.frozenGroups) : "none",
  ];
  return {
    kind: "table",
    caption: "Accuracy in %, mean ± standard deviation over seeds",
    columns: [
      { label: "Configuration" },
      { label: "Trials", align: "right" },
      { label: "Best validation", align: "right" },
      { label: "Test", align: "right" },
      { label: "Seeds", align: "right" },
      { label: "SE", align: "right", detail: true },
      { label: "Optimism", align: "right", detail: true },
      { label: "Frozen" },
    ],
    rows: [
      ...arms.map(row),
      [`always “${majority.label}”`, NONE, NONE, percent(majority.test), NONE, NONE, NONE, NONE],
    ],
    note: `Test: ${plural(rows, "row")}. SE: standard error of one accuracy on that many rows. Optimism: best validation of the search minus mean test accuracy. Always “${majority.label}”: the largest class of train, whatever the text.`,
    brief: true,
  };
}

function plainTrials(arm: ArmSummary): string {
  return arm.trials > 0 ? String(arm.trials) : NONE;
}

function testTable({ seeds, difference, comparisons, rowTest, signFlip, dz }: Comparison): Table {
  const family = comparisons > 1 ? `, after Holm over ${comparisons} comparisons` : "";
  const rows = [
    [
      "Interval over seeds and rows",
      `${points(difference.ci.low)} to ${points(difference.ci.high)} points`,
      "must exclude zero",
    ],
    [
      "Exact sign flips over rows (McNemar, seeds summed)",
      `p = ${probability(rowTest.adjustedP)}`,
      `must be below ${fixed(rowTest.alpha, 2)}${family}; ${plural(rowTest.winnerRows, "row")} for, ${rowTest.baselineRows} against`,
    ],
    [
      `Exact sign flips over ${plural(seeds.length, "seed")}`,
      `p = ${probability(signFlip.p)}`,
      `at best ${fixed(signFlip.smallestP, 4)} with this many seeds`,
    ],
    [
      "Effect size d_z over seeds",
      fixed(dz, 2),
      dz === null ? "needs two seeds that differ" : "mean difference / its standard deviation",
    ],
    ...seeds.map((pair) => [
      `McNemar, seed ${pair.seed} alone`,
      `p = ${probability(pair.mcnemarP)}`,
      `${plural(pair.winnerOnly, "row")} for, ${pair.baselineOnly} against`,
    ]),
  ];
  return {
    kind: "table",
    caption: "The tests behind the verdict",
    columns: [{ label: "Test" }, { label: "Result", align: "right" }, { label: "Detail" }],
    rows,
  };
}

function costTable(arms: readonly ArmSummary[], ratio?: CostRatio): Table {
  const times = (x: number | null) => (x === null ? NONE : `${fixed(x, x < 0.095 ? 3 : 2)}×`);
  const row = (label: string, what: keyof CostRatio, words: (x: number) => string) => [
    label,
    ...arms.map((arm) => words(arm.cost[what])),
    ...(ratio ? [times(ratio[what])] : []),
  ];
  return {
    kind: "table",
    caption: "What one training run costs, mean over seeds",
    columns: [
      { label: "" },
      ...arms.map((arm) => ({ label: arm.name, align: "right" as const })),
      ...(ratio ? [{ label: "Ratio", align: "right" as const }] : []),
    ],
    rows: [
      row("Trained parameters", "trainedParameters", large),
      row("Training FLOPs", "flops", large),
      row("Time", "seconds", duration),
    ],
    ...(arms.some(({ frozenGroups }) => frozenGroups.includes("embeddings"))
      ? {
          note: "FLOPs: with what is frozen from the bottom run once a text. Time: as measured after the search, which had kept its outputs where the cache had room.",
        }
      : {}),
    brief: true,
  };
}

/** The best of k equal configurations looks E[max of k] standard errors better than it is. */
function optimismBlock(winner: ArmSummary, { study }: SearchFindings): Block {
  const rows = study.data.find((file) => file.role === "validation")?.rows;
  const p = winner.validation.mean;
  const se = rows ? Math.sqrt(Math.max(0, p * (1 - p)) / rows) : null;
  const best = fixed(expectedMaximum(winner.trials), 1);
  const size = se === null ? "" : ` (${percent(se)} points on ${plural(rows!, "validation row")})`;
  return {
    kind: "paragraph",
    text: `Validation next to test: of ${plural(winner.trials, "equal configuration")} the best would look about ${best} standard errors${size} better than it is. Trust the test column.`,
  };
}
