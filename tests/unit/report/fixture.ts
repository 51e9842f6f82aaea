/** A made-up search in the shape of a real one, run through the real analysis. Its numbers mean nothing. */
import { analyseLayers, compareArms } from "../../../src/analysis/index.js";
import { Random } from "../../../src/analysis/random.js";
import type { ArmResult, LayerTrial, TrialCost } from "../../../src/analysis/types.js";
import type { SearchFindings } from "../../../src/report/index.js";
import { arm, GROUPS, randomTrials, twoArms } from "../analysis/arms.js";

/** Where `from` trials end up: frozen below, some rates above, better with layer.5 and the head fast. */
function score(rates: Readonly<Record<string, number>>, random: Random): number {
  const log = (group: string, best: number) => {
    const rate = rates[group]!;
    return rate === 0 ? -0.035 : -0.006 * (Math.log10(rate) - best) ** 2;
  };
  const wild = Object.values(rates).filter((rate) => rate > 2e-3).length;
  const low = ["embeddings", "layer.0", "layer.1", "layer.2"].filter((group) => rates[group] === 0).length;
  const base =
    0.945 + 0.007 * low + log("layer.5", -3.6) + 0.6 * log("layer.4", -4) + log("head", -2.8) - 0.012 * wild;
  return Math.min(0.995, base + 0.006 * random.normal());
}

function costOf(rates: LayerTrial["rates"], random: Random): TrialCost {
  const lowest = GROUPS.findIndex((group) => rates[group]! > 0);
  const deep = GROUPS.length - lowest;
  return {
    seconds: 5 + 2.4 * deep + random.uniform(),
    flops: (0.35 + 0.28 * deep) * 1e12,
    trainedParameters: GROUPS.reduce(
      (sum, group) => sum + (rates[group]! > 0 ? (group === "embeddings" ? 11_900_000 : 1_774_000) : 0),
      0,
    ),
  };
}

export function exampleTrials(count = 60): LayerTrial[] {
  const random = new Random(2026, "example");
  const drawn = randomTrials(random, count, (rates) => score(rates, random));
  const uniform = [2e-5, 5e-5].map((rate): LayerTrial["rates"] =>
    Object.fromEntries(GROUPS.map((group) => [group, rate])),
  );
  const trials: LayerTrial[] = [];
  const push = (from: LayerTrial, more: Partial<LayerTrial>) =>
    trials.push({ ...from, ...more, number: trials.length });
  for (const rates of uniform)
    push(drawn[0]!, { arm: "warm-start", rates, value: score(rates, random), cost: costOf(rates, random) });
  for (const [i, trial] of drawn.entries())
    push(trial, {
      cost: costOf(trial.rates, random),
      ...(i === 17 ? ({ state: "FAIL", value: null } as const) : {}),
    });
  for (let i = 0; i < count * 0.7; i += 1) {
    const best = [...trials]
      .filter((t) => t.value !== null)
      .sort((a, b) => b.value! - a.value!)
      .slice(0, 6);
    const parent = best[random.below(best.length)]!.rates;
    const rates = Object.fromEntries(
      GROUPS.map((group) => {
        const flip = random.uniform() < 0.1;
        const was = parent[group]!;
        if (was === 0 ? !flip : flip) return [group, 0];
        return [
          group,
          10 ** Math.max(-6, Math.min(-2, (was > 0 ? Math.log10(was) : -4) + 0.3 * random.normal())),
        ];
      }),
    );
    const pruned = random.uniform() < 0.2;
    push(drawn[0]!, {
      arm: "optimized",
      rates,
      cost: costOf(rates, random),
      state: pruned ? "PRUNED" : "COMPLETE",
      value: score(rates, random) - (pruned ? 0.03 : 0),
    });
  }
  return trials;
}

export function exampleFindings(name = "banking12 × MiniLM-L6"): SearchFindings {
  const trials = exampleTrials();
  const [w, b] = twoArms(new Random(5, "arms"), {
    seeds: 5,
    rows: 480,
    effect: 0.001,
    seedSd: 0.003,
    hard: 0.06,
  });
  const best = [...trials].filter((t) => t.state === "COMPLETE").sort((x, y) => y.value! - x.value!)[0]!;
  const priced = (result: ArmResult): ArmResult => {
    const random = new Random(1, result.name);
    return { ...result, seeds: result.seeds.map((s) => ({ ...s, cost: costOf(result.rates, random) })) };
  };
  const more = { rates: best.rates, trials: 104, bestValidation: best.value! };
  const winner = priced(arm("per-layer", w, more));
  const baseline = priced(arm("uniform", b, { trials: 104, bestValidation: 0.968 }));
  return {
    study: {
      name,
      direction: "maximize",
      objective: "validation accuracy",
      startedAt: "2026-11-24T09:00:00Z",
      finishedAt: "2026-11-24T09:41:07Z",
      model: {
        name: "minilm-l6",
        family: "bert",
        layers: 6,
        parameters: 22_713_216,
        sha256: "5b1f…(64 digits)".replace("…(64 digits)", "0".repeat(60)),
      },
      data: [
        { role: "train", path: "data/train.jsonl", rows: 192, labels: 12, sha256: "a".repeat(64) },
        { role: "validation", path: "data/validation.jsonl", rows: 240, labels: 12, sha256: "b".repeat(64) },
        { role: "test", path: "data/test.jsonl", rows: 480, labels: 12, sha256: null },
      ],
      testReadAt: ["2026-11-24T09:40:02Z"],
      options: {
        n_trials: 104,
        num_train_epochs: 10,
        per_device_train_batch_size: 16,
        seed: 42,
        timeout: null,
      },
      versions: { permafrost: "0.1.0", node: "20.20.2" },
      machine: { cpu: "example CPU", cores: "2", memory: "16 GiB" },
    },
    trials,
    layers: analyseLayers(trials, { seed: 42, permutations: 999, resamples: 500 }),
    comparisons: [compareArms(winner, baseline, { seed: 42 })],
    winner: null,
    majority: { label: "card_arrival", test: 1 / 12 },
    notices: [
      {
        tone: "info",
        text: "The classifier was not in the model folder and was newly initialised (normal, sd 0.02).",
      },
    ],
  };
}
