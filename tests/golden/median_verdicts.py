"""Makes median.json: verdicts of Optuna's MedianPruner, for tests/unit/study/pruners.test.ts.

  python tests/golden/median_verdicts.py        needs optuna 5

A case is [name, direction, options, history, own reports, verdict]; reports are [step, value] pairs in the order they were
reported, values that JSON lacks are the strings "nan", "inf" and "-inf". A history entry is the reports of a COMPLETE trial,
or [state, reports]. The options have Optuna's names. The cases by hand are the rules; those from a seed, whatever the rules
make of each other.
"""
import json, os, random, warnings

import optuna
from optuna.trial import TrialState, create_trial

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
SOON = dict(n_startup_trials=1)
NAN, INF = "nan", "inf"


def at(step, *values):
    """A COMPLETE trial of each value, all reported at `step`."""
    return [[[step, value]] for value in values]


BY_HAND = [
    ("the worse half is pruned, minimised", "minimize", SOON, at(1, 1, 2, 3), [[1, 2.5]]),
    ("the better half goes on, minimised", "minimize", SOON, at(1, 1, 2, 3), [[1, 1.5]]),
    ("the worse half is pruned, maximised", "maximize", SOON, at(1, 1, 2, 3), [[1, 1.5]]),
    ("the better half goes on, maximised", "maximize", SOON, at(1, 1, 2, 3), [[1, 2.5]]),
    ("the median itself goes on, minimised", "minimize", SOON, at(1, 1, 2, 3), [[1, 2]]),
    ("the median itself goes on, maximised", "maximize", SOON, at(1, 1, 2, 3), [[1, 2]]),
    ("ties at the median go on", "maximize", SOON, at(1, 1, 1, 1, 1), [[1, 1]]),
    ("of an even number, the mean of the middle two: above it", "minimize", SOON, at(1, 1, 2, 4, 9), [[1, 3.5]]),
    ("of an even number, the mean of the middle two: below it", "minimize", SOON, at(1, 1, 2, 4, 9), [[1, 2.5]]),
    ("of an even number, the mean itself", "minimize", SOON, at(1, 1, 2, 4, 9), [[1, 3]]),
    ("the best report so far counts, not the last, minimised", "minimize", SOON, at(2, 1, 2, 3), [[1, 0], [2, 9]]),
    ("the best report so far counts, not the last, maximised", "maximize", SOON, at(2, 1, 2, 3), [[1, 9], [2, 0]]),
    ("others are taken at the same step only", "maximize", SOON, [[[1, 0], [2, 9]], [[1, 0], [2, 9]]], [[1, 1]]),
    ("nobody reported at this step", "maximize", SOON, at(1, 5, 6), [[2, 0]]),
    ("no report, no verdict", "maximize", SOON, at(1, 5, 6), []),
    ("reports out of order: the largest step is the last", "maximize", SOON, at(2, 5, 6), [[2, 0], [1, 0]]),
    ("no history", "maximize", dict(n_startup_trials=0), [], [[1, 0]]),
    ("no history, and only NaN reports of its own", "maximize", dict(n_startup_trials=0), [], [[1, NAN]]),
    ("too few COMPLETE trials: the default wants five", "maximize", {}, at(1, 5, 5, 5, 5), [[1, 0]]),
    ("enough COMPLETE trials for the default", "maximize", {}, at(1, 5, 5, 5, 5, 5), [[1, 0]]),
    ("PRUNED, FAIL, RUNNING and WAITING trials do not count as started up", "maximize", dict(n_startup_trials=2),
     at(1, 5) + [["PRUNED", [[1, 5]]], ["FAIL", [[1, 5]]], ["RUNNING", [[1, 5]]], ["WAITING", []]], [[1, 0]]),
    ("PRUNED, FAIL and RUNNING trials are no evidence", "maximize", SOON,
     at(1, 1) + [["PRUNED", [[1, 9]]], ["FAIL", [[1, 9]]], ["RUNNING", [[1, 9]]]], [[1, 2]]),
    ("the step before the warm-up ends", "maximize", dict(SOON, n_warmup_steps=3), at(2, 5), [[2, 0]]),
    ("the first step after the warm-up", "maximize", dict(SOON, n_warmup_steps=3), at(3, 5), [[3, 0]]),
    ("a report within the warm-up counts as one's best", "maximize", dict(SOON, n_warmup_steps=3), at(3, 5), [[1, 6], [3, 0]]),
    ("every third step: due at 0", "maximize", dict(SOON, interval_steps=3), at(0, 5), [[0, 0]]),
    ("every third step: 1 is not due after 0", "maximize", dict(SOON, interval_steps=3), at(1, 5), [[0, 0], [1, 0]]),
    ("every third step: 3 is due", "maximize", dict(SOON, interval_steps=3), at(3, 5), [[0, 0], [1, 0], [3, 0]]),
    ("every third step: 4 is due when 3 was not reported", "maximize", dict(SOON, interval_steps=3), at(4, 5), [[1, 0], [4, 0]]),
    ("every third step: 4 is not due when 3 was reported", "maximize", dict(SOON, interval_steps=3), at(4, 5), [[3, 0], [4, 0]]),
    ("every third step from the warm-up: 5 is due", "maximize", dict(SOON, n_warmup_steps=2, interval_steps=3), at(5, 5), [[2, 0], [4, 0], [5, 0]]),
    ("every third step from the warm-up: 6 is not", "maximize", dict(SOON, n_warmup_steps=2, interval_steps=3), at(6, 5), [[5, 0], [6, 0]]),
    ("every third step, first report late", "maximize", dict(SOON, interval_steps=3), at(8, 5), [[8, 0]]),
    ("too few reports at this step", "maximize", dict(SOON, n_min_trials=3), at(1, 5, 5) + at(2, 5), [[1, 0]]),
    ("just enough reports at this step", "maximize", dict(SOON, n_min_trials=3), at(1, 5, 5, 5), [[1, 0]]),
    ("a NaN report counts as one of the reports", "maximize", dict(SOON, n_min_trials=3), at(1, 5, 5, NAN), [[1, 0]]),
    ("a NaN report of others is left out of the median", "minimize", SOON, at(1, 1, 3, NAN, NAN), [[1, 2.5]]),
    ("only NaN reports of others", "maximize", SOON, at(1, NAN, NAN), [[1, 0]]),
    ("only NaN reports of its own", "maximize", SOON, at(1, 5), [[1, NAN]]),
    ("only NaN reports of its own, nobody else at this step", "maximize", SOON, at(2, 5), [[1, NAN]]),
    ("only NaN reports of its own, too few others", "maximize", dict(SOON, n_min_trials=9), at(1, 5), [[1, NAN]]),
    ("NaN and a good report", "maximize", SOON, at(2, 5), [[1, 6], [2, NAN]]),
    ("NaN and a bad report", "maximize", SOON, at(2, 5), [[1, 4], [2, NAN]]),
    ("its own infinity is the worst, minimised", "minimize", SOON, at(1, 5), [[1, INF]]),
    ("its own infinity is the best, maximised", "maximize", SOON, at(1, 5), [[1, INF]]),
    ("an infinity among others, one side", "minimize", SOON, at(1, 1, 2, INF), [[1, 2.5]]),
    ("minus infinity among others", "minimize", SOON, at(1, "-inf", 2, 3), [[1, 1.5]]),
    ("the median is infinite, minimised", "minimize", SOON, at(1, 1, INF, INF), [[1, 9]]),
    ("the median is infinite, maximised", "maximize", SOON, at(1, 1, INF, INF), [[1, 9]]),
    ("the median and its own are the same infinity", "minimize", SOON, at(1, INF, INF, INF), [[1, INF]]),
    ("the middle two are the same infinity, minimised", "minimize", SOON, at(1, INF, INF), [[1, 9]]),
    ("the middle two are the same infinity, maximised", "maximize", SOON, at(1, INF, INF), [[1, 9]]),
    ("the middle two are a number and infinity, minimised", "minimize", SOON, at(1, 1, INF), [[1, 9]]),
    ("the middle two are a number and infinity, maximised", "maximize", SOON, at(1, 1, INF), [[1, 9]]),
    ("the middle two are opposite infinities", "minimize", SOON, at(1, "-inf", INF), [[1, 9]]),
]


def from_seed(seed):
    rng = random.Random(seed)
    steps = range(rng.choice([3, 7]))
    # Few different values, so that there are ties.
    value = lambda: NAN if rng.random() < 0.1 else rng.randrange(5) / 4
    reports = lambda most: [[s, value()] for s in steps if rng.random() < 0.7][-most:]
    states = ["COMPLETE"] * 5 + ["PRUNED", "FAIL", "RUNNING"]
    history = [[rng.choice(states), reports(9)] for _ in range(rng.randrange(3, 9))]
    options = dict(n_startup_trials=rng.randrange(0, 4), n_warmup_steps=rng.randrange(0, 3),
                   interval_steps=rng.randrange(1, 4), n_min_trials=rng.randrange(1, 3))
    return f"seed {seed}", rng.choice(["minimize", "maximize"]), options, history, reports(rng.randrange(1, 4))


def numbers(reports):
    return {step: float(value) for step, value in reports}


def entry(trial):
    return trial if trial and isinstance(trial[0], str) else ["COMPLETE", trial]


def verdict(_, direction, options, history, own):
    study = optuna.create_study(direction=direction, pruner=optuna.pruners.MedianPruner(**options))
    for state, reports in map(entry, history):
        value = 0.0 if state == "COMPLETE" else None
        study.add_trial(create_trial(state=TrialState[state], value=value, intermediate_values=numbers(reports)))
    if any(state == "WAITING" for state, _ in map(entry, history)):
        study.enqueue_trial({})
        running = optuna.Trial(study, study._storage.create_new_trial(study._study_id))
    else:
        running = study.ask()
    for step, value in numbers(own).items():
        running.report(value, step)
    return bool(running.should_prune())


if __name__ == "__main__":
    cases = BY_HAND + [from_seed(seed) for seed in range(60)]
    lines = [json.dumps([*case, verdict(*case)]) for case in cases]
    print(sum(line.endswith("true]") for line in lines), "pruned of", len(lines))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "median.json"), "w") as f:
        f.write('{"optuna": "%s", "cases": [\n%s\n]}\n' % (optuna.__version__, ",\n".join(lines)))
