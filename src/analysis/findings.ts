/**
 * What the analysis found, as plain data. `report` reads these types and nothing else of the analysis.
 *
 * Conventions: every number carries its n; what could not be computed is null, with the reason in words.
 * Values are oriented so that a positive r always means "goes with a better objective", also when it is minimised.
 */
import type { Arm, Direction, TrialState } from "../study/types.js";
import type { LayerTrial, TrialCost } from "./types.js";

export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Nominal coverage: 0.95. */
  readonly level: number;
  readonly method: "bca" | "percentile" | "expanded-percentile";
}

/** p of a permutation (or sign-flip) test. `count`: permutations looked at; all there are when `exact`. */
export interface PermutationTest {
  readonly p: number;
  readonly exact: boolean;
  readonly count: number;
}

export type AssociationMethod = "pearson" | "spearman" | "point-biserial" | "rank-biserial" | "partial";

/** One association of one group with the objective. */
export interface Association {
  readonly method: AssociationMethod;
  /** Trials it rests on. */
  readonly n: number;
  readonly r: number | null;
  /** Permutation p, two-sided. Null for a descriptive association: trials of an optimiser are not exchangeable. */
  readonly permutation: PermutationTest | null;
  /** Two-sided p by the textbook formula (t; Mann–Whitney for rank-biserial). */
  readonly asymptoticP: number | null;
  /**
   * Of the permutation p, over all groups and the methods of the ranking together (`groupedQ`). Null for the others, which
   * stand beside for the reader and claim nothing: Pearson and Spearman of a rate go along with the global one, which is a
   * factor of every layer's.
   */
  readonly q: number | null;
  readonly ci: Interval | null;
  /** Why `r`, or the interval, is null. */
  readonly reason: string | null;
}

/** Association of one group within one arm. */
export interface GroupAssociations {
  /** Frozen (1) or trained (0) against the objective: r > 0 says freezing goes with better. */
  readonly frozen: {
    readonly trials: number;
    readonly frozenTrials: number;
    readonly pointBiserial: Association;
    readonly rankBiserial: Association;
  };
  /** log10 rate where trained against the objective: r > 0 says faster goes with better. */
  readonly rate: {
    readonly pearson: Association;
    readonly spearman: Association;
    /** Pearson given the global log rate: what a layer's rate has of its own. */
    readonly partial: Association;
  };
}

export interface GroupFinding {
  readonly group: string;
  /** From the random arm: carries the inference. */
  readonly random: GroupAssociations;
  /** From the optimised arm: no p, no interval, never evidence. */
  readonly optimized: GroupAssociations & { readonly descriptive: true };
}

export interface ArmCount {
  readonly arm: Arm;
  readonly trials: number;
  /** Complete, with a finite value: what is analysed. */
  readonly used: number;
  readonly excluded: number;
}

/** What one test could show with the trials it has. */
export interface TestPower {
  readonly group: string;
  readonly method: RankingMethod;
  /** Trials it rests on. */
  readonly n: number;
  /** |r| that must be exceeded at p < alpha; null where no order of so few trials has such a p. */
  readonly criticalR: number | null;
  /** The same after Bonferroni over all tests: the first step of `groupedQ`. */
  readonly criticalRCorrected: number | null;
}

export interface PowerStatement {
  /** Trials of the random arm. */
  readonly n: number;
  readonly alpha: number;
  readonly tests: readonly TestPower[];
  readonly sentence: string;
}

export type RankingMethod = "frozen or not" | "rate given global";

export interface RankedGroup {
  readonly group: string;
  /** 1 = least p, of equal ones the largest |r|. Null where the method tests this group alone, or not at all. */
  readonly ranks: Readonly<Record<RankingMethod, number | null>>;
  readonly meanRank: number | null;
  /** The least of its methods: Benjamini–Hochberg over the groups, each with its p after Bonferroni over its methods. */
  readonly q: number | null;
  /** q < alpha. */
  readonly significant: boolean;
  /** What the associations that pass say ("better trained", "better with a higher rate"), else "not shown". */
  readonly reading: string;
  /** Methods place it far apart (more than half the list), and how. */
  readonly disagreement: string | null;
}

export interface LayerFindings {
  readonly direction: Direction;
  readonly alpha: number;
  readonly level: number;
  readonly arms: readonly ArmCount[];
  /** In the order of the network: embeddings, layers from below, head. */
  readonly groups: readonly GroupFinding[];
  readonly power: PowerStatement;
  /** What passes first, then by mean rank over the methods. */
  readonly ranking: readonly RankedGroup[];
  /** Kendall's W between the methods, in [0, 1]; null when fewer than two methods share three groups. */
  readonly agreement: number | null;
  /** One sentence over the ranking, "no layer shown to matter" included. */
  readonly summary: string;
  readonly notTested: readonly string[];
}

export interface Spread {
  readonly n: number;
  readonly mean: number;
  /** Sample standard deviation; null for n = 1. */
  readonly sd: number | null;
  readonly min: number;
  readonly max: number;
}

export interface ArmSummary {
  readonly name: string;
  readonly rates: Readonly<Record<string, number>>;
  readonly frozenGroups: readonly string[];
  readonly trainedGroups: readonly string[];
  /** Trials its search spent. */
  readonly trials: number;
  /** Seeds under which it diverged, and so has no score. */
  readonly diverged: readonly number[];
  /** Validation score of the best trial: looked at `trials` times, so optimistic. */
  readonly bestValidation: number;
  readonly validation: Spread;
  readonly test: Spread;
  /** Standard error of one accuracy on the test rows: √(p(1−p)/rows). */
  readonly testStandardError: number;
  /** Best validation of the search minus mean test of the retrained: what selection promised and test did not give. */
  readonly optimism: number;
  /** Means over seeds. */
  readonly cost: TrialCost;
}

/** Winner relative to baseline; below 1 is cheaper. Null where the baseline's is zero. */
export interface CostRatio {
  readonly seconds: number | null;
  readonly flops: number | null;
  readonly trainedParameters: number | null;
}

export interface SeedPair {
  readonly seed: number;
  readonly winner: number;
  readonly baseline: number;
  readonly difference: number;
  /** Rows only the winner (baseline) got right, and McNemar's exact p on this seed alone. */
  readonly winnerOnly: number;
  readonly baselineOnly: number;
  readonly mcnemarP: number;
}

/** Exact test over rows; see `rowTest`. */
export interface RowTest {
  readonly p: number;
  /** After Holm over the comparisons made side by side; `p` itself for a single one. */
  readonly adjustedP: number;
  /** What `adjustedP` must be below. */
  readonly alpha: number;
  /** Rows more (less) often right with the winner. */
  readonly winnerRows: number;
  readonly baselineRows: number;
  readonly sentence: string;
}

export type VerdictWord = "better" | "worse" | "no difference shown";

export interface Verdict {
  readonly word: VerdictWord;
  /** What was shown or not, with the interval and, if nothing was shown, the smallest difference that would have been. */
  readonly sentence: string;
  /** The result in cost, where accuracy is not worse; null otherwise. */
  readonly cost: string | null;
  /** One seed only, no discordant rows, …: what weakens the verdict. */
  readonly caveats: readonly string[];
  /** `sentence`, `cost` and `caveats`, joined. */
  readonly text: string;
  /** Loss of accuracy still called equal (0.01 = one point). */
  readonly margin: number;
  /** The loss that is not excluded (lower end of the interval, at least 3/rows) is below the margin. */
  readonly withinMargin: boolean;
  /** Difference these seeds and rows would have shown four times in five; null when it cannot be estimated. */
  readonly detectable: number | null;
}

export interface Comparison {
  readonly winner: ArmSummary;
  readonly baseline: ArmSummary;
  /** Baselines the winner was compared with side by side, this one included. */
  readonly comparisons: number;
  readonly rows: number;
  readonly seeds: readonly SeedPair[];
  /** Seeds only one of the two was trained on: not used. */
  readonly unpairedSeeds: readonly number[];
  /** Winner minus baseline in test accuracy. */
  readonly difference: {
    readonly mean: number;
    readonly ci: Interval;
    /** √ of the estimated variance over seeds and rows. */
    readonly standardError: number;
  };
  /** Exact paired sign flips over seeds; `smallestP` is what this number of seeds can reach at best. */
  readonly signFlip: PermutationTest & { readonly smallestP: number };
  readonly rowTest: RowTest;
  /** Cohen's d_z = mean / sd of the paired differences over seeds; null for one seed or no spread. */
  readonly dz: number | null;
  readonly costRatio: CostRatio;
  readonly verdict: Verdict;
}

export interface HistoryPoint {
  readonly number: number;
  readonly arm: Arm;
  readonly state: TrialState;
  readonly value: number | null;
  /** Best complete value so far, this trial included; null before the first. */
  readonly best: number | null;
}

export interface ParetoPoint {
  readonly trial: LayerTrial;
  readonly value: number;
  readonly cost: number;
  readonly onFront: boolean;
}
