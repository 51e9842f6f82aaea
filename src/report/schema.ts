/** The shape of a report.json. What the types of the findings say, at run time; more keys than these are kept. */
import { z } from "zod";
import type { SearchFindings } from "./findings.js";

/** `renderJson` writes what is not finite as null; where null means nothing else it was NaN. */
const number = z.number().or(z.null().transform(() => Number.NaN));
const orNull = z.number().nullable();
const text = z.string();
const textOrNull = text.nullable();
const rates = z.record(text, z.number());
const direction = z.enum(["maximize", "minimize"]);
const arm = z.enum(["warm-start", "random", "optimized"]);
const printed = z.record(text, text);
const cost = z.looseObject({ seconds: number, flops: number, trainedParameters: number });
const spread = z.looseObject({ n: number, mean: number, sd: orNull, min: number, max: number });

const interval = z.looseObject({
  low: number,
  high: number,
  level: number,
  method: z.enum(["bca", "percentile", "expanded-percentile"]),
});
const permutation = z.looseObject({ p: number, exact: z.boolean(), count: number });
const association = z.looseObject({
  method: z.enum(["pearson", "spearman", "point-biserial", "rank-biserial", "partial"]),
  n: number,
  r: orNull,
  permutation: permutation.nullable(),
  asymptoticP: orNull,
  q: orNull,
  ci: interval.nullable(),
  reason: textOrNull,
});
const associations = z.looseObject({
  frozen: z.looseObject({
    trials: number,
    frozenTrials: number,
    pointBiserial: association,
    rankBiserial: association,
  }),
  rate: z.looseObject({ pearson: association, spearman: association, partial: association }),
});

const layers = z.looseObject({
  direction,
  alpha: number,
  level: number,
  arms: z.array(z.looseObject({ arm, trials: number, used: number, excluded: number })),
  groups: z.array(
    z.looseObject({
      group: text,
      random: associations,
      optimized: associations.extend({ descriptive: z.literal(true) }),
    }),
  ),
  power: z.looseObject({
    n: number,
    alpha: number,
    tests: z.array(
      z.looseObject({
        group: text,
        method: z.enum(["frozen or not", "rate given global"]),
        n: number,
        criticalR: orNull,
        criticalRCorrected: orNull,
      }),
    ),
    sentence: text,
  }),
  ranking: z.array(
    z.looseObject({
      group: text,
      ranks: z.looseObject({ "frozen or not": orNull, "rate given global": orNull }),
      meanRank: orNull,
      q: orNull,
      significant: z.boolean(),
      reading: text,
      disagreement: textOrNull,
    }),
  ),
  agreement: orNull,
  summary: text,
  notTested: z.array(text),
});

const armSummary = z.looseObject({
  name: text,
  rates,
  frozenGroups: z.array(text),
  trainedGroups: z.array(text),
  trials: number,
  diverged: z.array(number),
  bestValidation: number,
  validation: spread,
  test: spread,
  testStandardError: number,
  optimism: number,
  cost,
});
const comparison = z.looseObject({
  winner: armSummary,
  baseline: armSummary,
  comparisons: number,
  rows: number,
  seeds: z.array(
    z.looseObject({
      seed: number,
      winner: number,
      baseline: number,
      difference: number,
      winnerOnly: number,
      baselineOnly: number,
      mcnemarP: number,
    }),
  ),
  unpairedSeeds: z.array(number),
  difference: z.looseObject({ mean: number, ci: interval, standardError: number }),
  signFlip: permutation.extend({ smallestP: number }),
  rowTest: z.looseObject({
    p: number,
    adjustedP: number,
    alpha: number,
    winnerRows: number,
    baselineRows: number,
    sentence: text,
  }),
  dz: orNull,
  costRatio: z.looseObject({ seconds: orNull, flops: orNull, trainedParameters: orNull }),
  verdict: z.looseObject({
    word: z.enum(["better", "worse", "no difference shown"]),
    sentence: text,
    cost: textOrNull,
    caveats: z.array(text),
    text,
    margin: number,
    withinMargin: z.boolean(),
    detectable: orNull,
  }),
});

const study = z.looseObject({
  name: text,
  direction,
  objective: text,
  startedAt: textOrNull,
  finishedAt: textOrNull,
  model: z.looseObject({ name: text, family: text, layers: number, parameters: number, sha256: textOrNull }),
  data: z.array(
    z.looseObject({
      role: z.enum(["train", "validation", "test"]),
      path: text,
      rows: number,
      labels: number,
      sha256: textOrNull,
    }),
  ),
  testReadAt: z.array(text),
  options: z.record(text, z.union([text, z.number(), z.boolean(), z.null()])),
  versions: printed,
  machine: printed,
});

export const findingsSchema = z.looseObject({
  study,
  majority: z.looseObject({ label: text, test: number }),
  trials: z.array(
    z.looseObject({
      number,
      arm,
      state: z.enum(["RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING"]),
      value: orNull,
      rates,
      globalRate: z.exactOptional(number),
      validationLoss: z.exactOptional(orNull),
      cost,
    }),
  ),
  layers,
  comparisons: z.array(comparison),
  winner: armSummary.nullable(),
  notices: z.array(z.looseObject({ tone: z.enum(["info", "warning"]), text })),
}) satisfies z.ZodType<SearchFindings>; // the compiler holds this table and the types together
