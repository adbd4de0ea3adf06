"""The study in the terminal, and how much time is left."""

import subprocess
import sys
from datetime import datetime, timedelta

import optuna
from optuna.trial import TrialState, create_trial

from pipelines.tuning.definition import Definition, Search
from pipelines.tuning.liveness import REASON
from pipelines.tuning.plan import Plan, keep
from pipelines.tuning.progress import time_left
from pipelines.tuning.show import page
from pipelines.tuning.storage import open_storage
from tests.pipelines.helpers import ROOT, SMALL
from tests.pipelines.tuning.conftest import STUDY

DISTRIBUTIONS = {"model.latent_dim": optuna.distributions.IntDistribution(2, 16, log=True)}
SPACE = {"model.latent_dim": STUDY["space"]["model.latent_dim"]}


def add(study: optuna.Study, state: str, value: float | None = None, size: int | None = None, **attributes) -> None:
    values = None if value is None else [value]
    params = {} if size is None else {"model.latent_dim": size}
    distributions = DISTRIBUTIONS if params else {}
    trial = create_trial(
        state=TrialState[state], values=values, params=params, distributions=distributions, user_attrs=attributes
    )
    study.add_trial(trial)


def filled(study: optuna.Study) -> optuna.Study:
    add(study, "COMPLETE", 30.0, 3)
    add(study, "COMPLETE", 20.12345, 4)
    add(study, "PRUNED", 25.0, 5)
    add(study, "FAIL", None, 6, **{REASON: "OutOfMemoryError: no memory left"})
    for _ in range(4):
        add(study, "WAITING")
    return study


def test_the_page_says_all_of_it():
    search = Search("small.yaml", SPACE)
    lines = page(filled(optuna.create_study(study_name="s")), search).splitlines()
    assert lines[0] == "s: [###############...............] 4/8  2 complete, 1 pruned, 1 fail, 4 waiting"
    assert lines[2].split() == ["trial", "state", "loss", "latent_dim", "time"]
    assert [line.split()[:4] for line in lines[3:6]] == [
        ["0", "COMPLETE", "30", "3"],
        ["1", "COMPLETE", "20.12", "4"],
        ["2", "PRUNED", "25", "5"],
    ]
    assert lines[4].endswith("best")
    assert lines[6].endswith("OutOfMemoryError: no memory left")
    assert len(lines) == 7


def test_the_time_left_counts_what_waits_and_what_runs():
    now = datetime.now()
    done = create_trial(state=TrialState.COMPLETE, value=1.0)
    done.datetime_start, done.datetime_complete = now - timedelta(seconds=100), now
    waiting = create_trial(state=TrialState.WAITING)
    runs = create_trial(state=TrialState.RUNNING)
    runs.datetime_start = now - timedelta(seconds=40)
    assert time_left([done]) == ""
    assert time_left([waiting]) == ""
    assert time_left([done, waiting, waiting]) == "about 00:03:20"
    assert time_left([done, runs, runs, *[waiting] * 4]) in ("about 00:04:20", "about 00:04:19")


def test_it_is_shown_without_importing_what_trains(written, store):
    written(space=SPACE)
    study = optuna.create_study(study_name="study", storage=open_storage("outputs/studies.journal"))
    keep(
        study,
        Plan(
            Definition("study", SMALL, [], {"recipe": "small.yaml", "space": SPACE}),
            "run",
            3,
            False,
            "lit-ae",
            "outputs",
        ),
    )
    filled(study)
    code = (
        "import sys; from pipelines.tune import main; code = main(['--study', 'study.yaml', '--show']); "
        "print('torch' in sys.modules, 'mlflow' in sys.modules, code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.stdout.splitlines()[-1] == "False False 0", done.stderr
    assert "4/8" in done.stdout
