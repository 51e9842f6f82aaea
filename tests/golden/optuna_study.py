"""Makes optuna.db: a study by Optuna itself, for tests/unit/study. `npm test` reads the file and needs no Python.

  python tests/golden/optuna_study.py            needs optuna 5 (made with 5.0.0, SQLite 3.40.1)
  python tests/golden/optuna_study.py texts      prints Optuna's JSON of the distributions in json.test.ts

Every row is Optuna's own work, the five older distribution names included (its storage still writes them when asked
directly, its trials no longer do). Only the clock is ours: one second a call, so that the times are known. In the end the
file is rewritten with small pages, 36 KB instead of 115.
"""
import datetime, math, os, sqlite3, sys, time, warnings

os.environ["TZ"] = "Asia/Tokyo"  # Optuna stores UTC: 12:00 here is 03:00 in the file
time.tzset()
import optuna
from optuna.distributions import (CategoricalDistribution, DiscreteUniformDistribution, FloatDistribution, IntDistribution,
                                  IntLogUniformDistribution, IntUniformDistribution, LogUniformDistribution, UniformDistribution)
from optuna.trial import TrialState

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optuna.db")


class Clock(datetime.datetime):
    at = datetime.datetime(2026, 3, 1, 12, 0, 0, 250_000)

    @classmethod
    def now(cls):
        cls.at += datetime.timedelta(seconds=1)
        return cls.at


class Given(optuna.samplers.RandomSampler):
    """Proposes what it was told."""
    values = {}

    def sample_independent(self, study, trial, name, distribution):
        return self.values[name]


def suggest(trial):
    trial.suggest_float("lr", 1e-6, 1e-3, log=True)
    trial.suggest_float("dropout", 0, 0.5, step=0.125)
    trial.suggest_int("depth", 0, 12, step=3)
    trial.suggest_int("batch", 2, 128, log=True)
    trial.suggest_categorical("mode", [None, True, 1.5, "a"])


def main():
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(FILE + suffix):
            os.remove(FILE + suffix)
    optuna.storages._rdb.storage.datetime = Clock
    sampler = Given()
    storage = optuna.storages.RDBStorage(f"sqlite:///{FILE}")
    study = optuna.create_study(study_name="by optuna", storage=storage, direction="maximize", sampler=sampler)
    study.set_user_attr("data", {"rows": 12, "name": "é"})
    study.set_metric_names(["accuracy"])

    def ask(lr, dropout, depth, batch, mode):
        sampler.values = dict(lr=lr, dropout=dropout, depth=depth, batch=batch, mode=mode)
        trial = study.ask()
        suggest(trial)
        return trial

    trial = ask(1e-4, 0.25, 6, 16, None)  # 0: COMPLETE, reports of every kind, and both kinds of attributes
    for step, value in [(1, 0.5), (2, math.nan), (3, math.inf), (7, -math.inf), (10, 0.625)]:
        trial.report(value, step)
    trial.set_user_attr("note", 'é "quoted" \n')
    trial.set_user_attr("seconds", 1.5)
    trial.set_user_attr("curve", [0.5, math.nan, math.inf])  # json.dumps writes these bare
    trial.set_user_attr("big", 2**60)
    study.tell(trial, 0.75)

    trial = ask(2.5e-5, 0, 12, 128, True)  # 1: PRUNED with the last report as its value
    trial.report(0.25, 1)
    trial.report(0.125, 2)
    study.tell(trial, state=TrialState.PRUNED)

    study.tell(ask(1e-3, 0.5, 0, 2, 1.5), state=TrialState.FAIL)  # 2
    study.tell(ask(1e-6, 0.375, 3, 3, "a"), math.inf)  # 3

    trial = study.ask()  # 4: the names of Optuna 2
    for name, value, distribution in [
        ("uniform", 0.5, UniformDistribution(-1, 1)),
        ("loguniform", 1e-5, LogUniformDistribution(1e-6, 1e-3)),
        ("discrete", 0.75, DiscreteUniformDistribution(0, 1, 0.25)),
        ("int", 4, IntUniformDistribution(0, 12, 2)),
        ("intlog", 8, IntLogUniformDistribution(1, 64)),
    ]:
        storage.set_trial_param(trial._trial_id, name, value, distribution)
    study.tell(trial, -0.5)

    sampler.values = dict(lr=1e-5)
    trial = study.ask()  # 5: RUNNING
    trial.suggest_float("lr", 1e-6, 1e-3, log=True)
    trial.report(0.5, 0)
    study.enqueue_trial({"lr": 5e-5, "mode": "a"}, user_attrs={"why": "a guess"})  # 6: WAITING
    storage.remove_session()
    storage.engine.dispose()

    db = sqlite3.connect(FILE)
    db.execute("PRAGMA page_size = 1024")
    db.execute("VACUUM")
    db.close()
    print(f"{FILE}: {os.path.getsize(FILE)} bytes")


TEXTS = [
    FloatDistribution(1e-6, 1e-3, log=True),
    FloatDistribution(0, 0.35, step=0.1),
    FloatDistribution(-1e16, 1e22),
    FloatDistribution(-0.0, 123456789.125),
    IntDistribution(0, 12, step=3),
    IntDistribution(1, 1024, log=True),
    IntDistribution(-5, 2**53 - 1),
    IntDistribution(0, 10, step=4),
    CategoricalDistribution([None, True, False, 1.5, 1e-7, 3, "a", "é\n\"\U0001f600"]),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["texts"]:
        for distribution in TEXTS:
            print(optuna.distributions.distribution_to_json(distribution))
    else:
        main()
