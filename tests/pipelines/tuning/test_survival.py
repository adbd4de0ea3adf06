"""Whatever is killed, a study ends with exactly its trials, each in one MLflow run."""

import functools
import os
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from pipelines.tuning.liveness import EARLIER, last_attempts
from pipelines.tuning.storage import find_study, open_storage
from pipelines.tuning.trial import PARENT_TAG, RUNS, STATE_TAG
from tests.pipelines.helpers import history, wait_for

JOURNAL = "outputs/studies.journal"
LONG = {"training": {"trainer": {"max_epochs": 12}, "data": {"batch_size": 4}}}  # 50 steps an epoch
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


kept = functools.cache(open_storage)  # by the path or URL, of which each test has its own


def study_in(storage: str):
    """The study, or None; of a journal file by its place, since tests have folders of their own."""
    if "://" in storage:
        return find_study("study", kept(storage))
    return find_study("study", kept(str(Path(storage).absolute()))) if Path(storage).exists() else None


def workers_of(command) -> list[psutil.Process]:
    """The worker processes, and not what they started in turn."""
    return [
        child
        for child in psutil.Process(command.pid).children()
        if "pipelines.tuning.worker" in " ".join(child.cmdline())
    ]


def running(storage: str) -> list:
    study = study_in(storage)
    return [trial for trial in study.get_trials() if trial.state == TrialState.RUNNING] if study else []


def in_mid_training(storage: str) -> list:
    """Trials whose training has reported two epochs."""
    return [trial for trial in running(storage) if (trial.last_step or 0) >= 2]


def assert_whole(storage: str, trials: int, runs, retried: int | None = None) -> None:
    """As many complete trials as asked for, none twice, and one finished MLflow run for each."""
    study = study_in(storage)
    last = last_attempts(study)
    assert [trial.state for trial in last] == [TrialState.COMPLETE] * trials
    assert Counter(trial.state for trial in study.get_trials())[TrialState.COMPLETE] == trials
    assert not running(storage)
    children = [run for run in runs() if PARENT_TAG in run.data.tags]
    assert sorted(run.info.run_id for run in children) == sorted(trial.user_attrs[RUNS]["0"] for trial in last)
    assert {run.info.status for run in children} == {"FINISHED"}
    assert {run.data.tags[STATE_TAG] for run in children} == {"COMPLETE"}
    if retried is not None:
        assert sum(bool(trial.system_attrs.get(EARLIER)) for trial in last) == retried


def end(command, code: int = 0) -> str:
    out, err = command.communicate(timeout=1000)
    assert command.returncode == code, out + err
    assert "Traceback" not in err
    return out


def test_a_killed_workers_trial_goes_on_in_its_own_run(written, tuning, store, runs):
    command = tuning("--study", written(**LONG), "--workers", 2)
    assert wait_for(lambda: in_mid_training(JOURNAL), 300)
    victim = in_mid_training(JOURNAL)[0]
    os.kill(victim.user_attrs["worker"]["pid"], signal.SIGKILL)
    out = end(command)
    assert "3/3" in out
    assert_whole(JOURNAL, 3, runs, retried=1)
    run_id = victim.user_attrs[RUNS]["0"]
    steps = [step for step, _ in history(store, run_id, "val/loss")]
    assert steps == list(range(12))
    again = next(trial for trial in last_attempts(study_in(JOURNAL)) if trial.system_attrs.get(EARLIER))
    assert again.params == victim.params
    assert again.datetime_start > victim.datetime_start


def test_everything_killed_and_the_same_command_again(written, tuning, runs):
    words = ("--study", written(**LONG), "--workers", 2)
    first = tuning(*words)
    assert wait_for(lambda: in_mid_training(JOURNAL), 300)
    workers = workers_of(first)
    for process in (psutil.Process(first.pid), *workers):
        process.kill()
    first.communicate()
    second = tuning(*words)
    end(second)
    assert_whole(JOURNAL, 3, runs)
    (parent,) = [run for run in runs() if PARENT_TAG not in run.data.tags]
    assert parent.info.status == "FINISHED"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped_by_a_signal_and_gone_on_with(number, written, tuning, store, runs):
    words = ("--study", written(**LONG), "--workers", 2)
    command = tuning(*words)
    assert wait_for(lambda: in_mid_training(JOURNAL), 300)
    command.send_signal(number)
    end(command, 128 + number)
    assert not running(JOURNAL)
    assert {run.info.status for run in runs()} <= {"KILLED", "FINISHED"}
    assert all(
        run.data.tags[STATE_TAG] == "WAITING"
        for run in runs()
        if PARENT_TAG in run.data.tags and run.info.status == "KILLED"
    )
    end(tuning(*words))
    assert_whole(JOURNAL, 3, runs)


def test_workers_whose_command_was_killed_end_too(written, tuning, runs):
    command = tuning("--study", written(**LONG), "--workers", 1)
    assert wait_for(lambda: in_mid_training(JOURNAL), 300)
    (worker,) = workers_of(command)
    command.kill()
    command.communicate()
    worker.wait(60)
    assert not running(JOURNAL)


def test_four_workers_on_postgresql_and_one_killed(postgres, written, tuning, runs):
    trials = 8
    words = ("--study", written(trials=trials, **LONG), "--workers", 4, "--storage", postgres)
    command = tuning(*words)
    assert wait_for(lambda: in_mid_training(postgres), 300)
    victim = in_mid_training(postgres)[0]
    os.kill(victim.user_attrs["worker"]["pid"], signal.SIGKILL)
    end(command)
    assert_whole(postgres, trials, runs, retried=1)


def test_a_second_command_joins(postgres, written, tuning, runs):
    words = ("--study", written(trials=6, **LONG), "--storage", postgres)
    first = tuning(*words)
    assert wait_for(lambda: running(postgres), 300)
    second = tuning(*words, "--join")
    assert wait_for(lambda: len(running(postgres)) == 2, 300)
    end(second)
    end(first)
    assert_whole(postgres, 6, runs)
    assert len([run for run in runs() if PARENT_TAG not in run.data.tags]) == 1


def test_through_a_grpc_proxy(postgres, written, tuning, runs):
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    tuning("--proxy", address, "--storage", postgres)
    time.sleep(1)
    url = f"grpc://{address}"
    command = tuning("--study", written(), "--workers", 2, "--storage", url)
    end(command)
    assert_whole(postgres, 3, runs)
