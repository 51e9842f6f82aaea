/** Did it beat plain fine-tuning, and at what cost? */
import type { ArmSummary, Comparison } from "../../analysis/findings.js";
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
  const blocks: Block[] = [testReads(findings), ...findings.comparisons.flatMap(comparisonBlocks)];
  if (findings.comparisons.length === 0) {
    const text =
      "The final comparison was not run: nothing here says whether the search beats plain fine-tuning.";
    blocks.push({ kind: "notice", tone: "warning", label: "No comparison", text, brief: true });
  } else {
    blocks.push(optimismBlock(findings));
  }
  return { id: "verdict", title: "Does it beat plain fine-tuning?", blocks };
}

function testReads({ study }: SearchFindings): Block {
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
      ? `The test set was read once, at ${times[0]}, after the search had ended and both configurations were fixed.`
      : "The test set has not been read.";
  return { kind: "paragraph", text };
}

function comparisonBlocks(comparison: Comparison): Block[] {
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
    accuracyTable(comparison),
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
    costTable(comparison),
  ];
}

function accuracyTable({ winner, baseline, rows }: Comparison): Table {
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
    rows: [row(winner), row(baseline)],
    note: `Test: ${plural(rows, "row")}. SE: standard error of one accuracy on that many rows. Optimism: best validation of the search minus mean test accuracy.`,
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

function costTable({ winner, baseline, costRatio }: Comparison): Table {
  const times = (ratio: number | null) => (ratio === null ? NONE : `${fixed(ratio, ratio < 0.095 ? 3 : 2)}×`);
  return {
    kind: "table",
    caption: "What one training run costs, mean over seeds",
    columns: [
      { label: "" },
      { label: winner.name, align: "right" },
      { label: baseline.name, align: "right" },
      { label: "Ratio", align: "right" },
    ],
    rows: [
      [
        "Trained parameters",
        large(winner.cost.trainedParameters),
        large(baseline.cost.trainedParameters),
        times(costRatio.trainedParameters),
      ],
      ["Training FLOPs", large(winner.cost.flops), large(baseline.cost.flops), times(costRatio.flops)],
      ["Time", duration(winner.cost.seconds), duration(baseline.cost.seconds), times(costRatio.seconds)],
    ],
    brief: true,
  };
}

/** The best of k equal configurations looks E[max of k] standard errors better than it is. */
function optimismBlock({ comparisons, study }: SearchFindings): Block {
  const { winner } = comparisons[0]!;
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
