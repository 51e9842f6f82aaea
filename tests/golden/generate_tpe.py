"""Regrets of Optuna's TPESampler(multivariate=True, group=True), for tests/unit/study/tpe.test.ts. Writes tpe.json.

  python generate_tpe.py        needs optuna 5; about two minutes

Each function is minimised from BUDGET trials under seeds 0 … SEEDS-1; its minimum is 0, so the best value is the regret.
The functions are written a second time in tpe-functions.ts: change both.
"""
import json, math, os, warnings

import optuna

BUDGET, SEEDS = 60, 40
warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def sphere(t):
    return sum((t.suggest_float(f"x{i}", -5, 5) - 1) ** 2 for i in range(5))


def branin(t):
    x, y = t.suggest_float("x", -5, 10), t.suggest_float("y", 0, 15)
    bowl = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.39788735772973816


def ackley(t):
    x = [t.suggest_float(f"x{i}", -10, 10) for i in range(4)]
    spread = math.sqrt(sum(v * v for v in x) / 4)
    return 20 - 20 * math.exp(-0.2 * spread) + math.e - math.exp(sum(math.cos(2 * math.pi * v) for v in x) / 4)


def mixed(t):
    """Log rates, a stepped float, integers and a category: every kind of dimension at once."""
    rate = math.log10(t.suggest_float("lr", 1e-6, 1e-2, log=True)) + 4.3
    batch = math.log2(t.suggest_int("batch", 2, 128, log=True) / 16)
    dropout = t.suggest_float("dropout", 0, 0.5, step=0.05) - 0.1
    depth = t.suggest_int("depth", 0, 12) - 4
    schedule = {"linear": 0, "cosine": 0.2, "constant": 0.6}[t.suggest_categorical("schedule", list(("constant", "cosine", "linear")))]
    return rate**2 + 0.1 * batch**2 + 4 * dropout**2 + 0.05 * depth**2 + schedule


def layers(t):
    """The shape of our search: a global rate, and per layer a freeze bit and, only if trained, an offset."""
    loss = (math.log10(t.suggest_float("lr", 1e-6, 1e-2, log=True)) + 4.3) ** 2
    for i in range(4):
        frozen = t.suggest_int(f"freeze.{i}", 0, 1)
        if frozen:
            loss += 0 if i < 2 else 0.5
        else:
            loss += 0.1 + (t.suggest_float(f"offset.{i}", -1, 1) - 0.2 * i) ** 2 if i < 2 else (t.suggest_float(f"offset.{i}", -1, 1) - 0.2 * i) ** 2
    return loss


def best(objective, seed):
    sampler = optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=BUDGET)
    return study.best_value


if __name__ == "__main__":
    regrets = {f.__name__: [best(f, seed) for seed in range(SEEDS)] for f in (sphere, branin, ackley, mixed, layers)}
    out = dict(optuna=optuna.__version__, budget=BUDGET, regrets=regrets)
    with open(os.path.join(os.path.dirname(__file__), "tpe.json"), "w") as f:
        json.dump(out, f, indent=1)
    for name, values in regrets.items():
        print(name, sorted(values)[SEEDS // 2])
