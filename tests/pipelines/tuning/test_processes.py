"""Trials of two processes each, and the pages that are served."""

import socket
import urllib.request

import pytest
from optuna.trial import TrialState

from pipelines.tuning.liveness import last_attempts
from pipelines.tuning.storage import find_study, open_storage
from pipelines.tuning.trial import PARENT_TAG, STATE_TAG
from tests.pipelines.helpers import wait_for

TWO = {"trainer": {"devices": 2, "strategy": "ddp", "max_epochs": 4}}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_trials_of_two_processes_each_and_pruned_together(written, tuning, runs):
    space = {"model.optimizer.lr": {"categorical": [0.001, 1e-6]}}
    changes = {"space": space, "pruner": "hyperband", "sampler": "random", "seed": 1, "trials": 5}
    command = tuning("--study", written(training=TWO, **changes))
    _, err = command.communicate(timeout=1000)
    assert command.returncode == 0, err
    study = find_study("study", open_storage("outputs/studies.journal"))
    states = [trial.state for trial in last_attempts(study)]
    assert len(states) == len(study.get_trials()) == 5  # not one for each process
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    children = [run for run in runs() if PARENT_TAG in run.data.tags]
    pruned = [run for run in children if run.data.tags[STATE_TAG] == "PRUNED"]
    assert len(children) == 5
    assert len(pruned) == states.count(TrialState.PRUNED)
    assert {run.info.status for run in pruned} == {"KILLED"}


def test_several_seeds_of_two_processes_each(written, tuning, runs):
    command = tuning("--study", written(training=TWO, trials=1, seeds=2))
    _, err = command.communicate(timeout=1000)
    assert command.returncode == 0, err
    (trial,) = find_study("study", open_storage("outputs/studies.journal")).get_trials()
    assert trial.state == TrialState.COMPLETE
    assert len(runs()) == 1 + 1 + 2


def test_the_dashboard_opens_on_the_same_storage(written, tuning):
    open_storage("outputs/studies.journal")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tuning("--dashboard", port)

    def answer() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/dashboard", timeout=5) as page:
                return page.read().decode()
        except OSError:
            return ""

    assert "Optuna Dashboard" in wait_for(answer, 120)
