"""Opens a study of ours with Optuna, reads it, computes importances, goes on with it. Prints one JSON line.

  python optuna_open.py sqlite:///COPY        the file is written to: give it a copy
"""
import collections, json, sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="s", storage=sys.argv[1])
before = study.trials
importances = optuna.importance.get_param_importances(study)
fanova = optuna.importance.get_param_importances(study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0))
assert set(importances) == set(fanova)
best = study.best_trial


def objective(trial):
    lr = trial.suggest_float("lr", 1e-6, 1e-3, log=True)
    return lr + trial.suggest_int("depth", 0, 6)


study.optimize(objective, n_trials=3)
print(json.dumps(dict(
    trials=len(before), states=collections.Counter(t.state.name for t in before), best_number=best.number, best_params=best.params,
    metric_names=study.metric_names, importances=sorted(importances), waiting_popped={"lr": study.trials[24].params["lr"]},
)))
