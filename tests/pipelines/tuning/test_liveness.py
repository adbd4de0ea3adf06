"""Whose trials are handed on, to whom, and how often."""

import os
import signal
import subprocess
import sys
import threading
import time

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from pipelines.tuning import liveness
from pipelines.tuning.liveness import (
    BEATS,
    EARLIER,
    REASON,
    SLOT,
    WORKER,
    Heartbeat,
    Watch,
    give_back,
    last_attempts,
    queue_again,
    this_process,
)
from pipelines.tuning.storage import find_study, open_storage, patiently
from pipelines.tuning.trial import tell
from tests.pipelines.helpers import wait_for


@pytest.fixture
def study(tmp_path) -> optuna.Study:
    return optuna.create_study(storage=open_storage(str(tmp_path / "studies.journal")), study_name="s")


def of_a_dead_process() -> dict:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    worker = {**this_process(), "pid": process.pid, "began": psutil.Process(process.pid).create_time()}
    process.kill()
    process.wait()
    return worker


def begin(study: optuna.Study, worker: dict) -> optuna.Trial:
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.set_user_attr(WORKER, worker)
    trial.set_user_attr("runs", {"0": "abc"})
    return trial


def test_the_trial_of_a_dead_process_waits_again_with_all_that_it_had(study):
    trial = begin(study, of_a_dead_process())
    trial.report(1.5, 1)
    assert Watch(study, 2).hand_on() == []
    first, again = study.get_trials()
    assert (first.state, again.state) == (TrialState.FAIL, TrialState.WAITING)
    assert (again.params, again.intermediate_values) == (first.params, {1: 1.5})
    assert again.user_attrs["runs"] == {"0": "abc"}
    assert WORKER not in again.user_attrs
    assert (again.user_attrs[SLOT], again.system_attrs[EARLIER]) == (0, [0])
    assert [one.number for one in last_attempts(study)] == [1]


def test_the_trial_of_a_living_process_is_its_own(study):
    begin(study, this_process())
    Watch(study, 2).hand_on()
    assert [trial.state for trial in study.get_trials()] == [TrialState.RUNNING]


def test_a_process_number_that_was_given_again_is_not_the_same_process(study):
    begin(study, {**this_process(), "began": this_process()["began"] - 100})
    Watch(study, 2).hand_on()
    assert study.get_trials()[0].state == TrialState.FAIL


def test_a_process_of_another_machine_counts_as_dead_when_it_beats_no_more(study, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(liveness.time, "monotonic", lambda: now[0])
    trial = begin(study, {**this_process(), "place": "elsewhere"})
    watch = Watch(study, 2)
    for beat in range(3):  # its clock does not matter, only that something changes
        trial.set_user_attr(BEATS, beat)
        watch.hand_on()
        now[0] += liveness.GRACE
    assert study.get_trials()[0].state == TrialState.RUNNING
    now[0] += 1
    watch.hand_on()
    assert study.get_trials()[0].state == TrialState.FAIL


def test_after_its_retries_a_trial_is_lost_and_says_why(study):
    begin(study, of_a_dead_process())
    watch = Watch(study, 1)
    assert watch.hand_on() == []
    again = study.ask()
    assert again.number == 1
    again.set_user_attr(WORKER, of_a_dead_process())
    (lost,) = watch.hand_on()
    assert lost.number == 1
    (last,) = last_attempts(study)
    assert (last.state, last.user_attrs[REASON]) == (TrialState.FAIL, "its process died 2 times without a word")


def test_a_trial_that_was_told_to_stop_has_lost_no_retry(study):
    begin(study, of_a_dead_process())
    for _ in range(5):
        assert give_back(study, study.get_trials()[-1])
        study.ask()
    (last,) = last_attempts(study)
    assert (last.number, last.user_attrs[SLOT], last.user_attrs[liveness.DEATHS]) == (5, 0, 0)


def test_many_watchers_hand_a_trial_on_once(tmp_path):
    path = str(tmp_path / "studies.journal")
    study = optuna.create_study(storage=open_storage(path), study_name="s")
    begin(study, of_a_dead_process())
    watches = [Watch(find_study("s", open_storage(path)), 2) for _ in range(6)]
    threads = [threading.Thread(target=watch.hand_on) for watch in watches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [trial.state for trial in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]


def test_what_somebody_else_has_taken_is_not_told_twice(study):
    trial = begin(study, of_a_dead_process())
    Watch(study, 2).hand_on()
    assert tell(study, trial, TrialState.COMPLETE, [1.0]) == TrialState.FAIL
    assert TrialState.COMPLETE not in {one.state for one in study.get_trials()}


def test_an_attempt_that_nobody_queued_again_can_be(study):
    trial = begin(study, of_a_dead_process())
    study.tell(trial, state=TrialState.FAIL)
    queue_again(study, study.get_trials()[0], 0)
    assert [one.state for one in last_attempts(study)] == [TrialState.WAITING]


def test_a_heart_beats_while_the_block_lasts_and_stops_a_process_whose_trial_was_taken(study, monkeypatch):
    monkeypatch.setattr(liveness, "BEAT", 0.0)
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    trial = study.ask()
    try:
        with Heartbeat(study._storage, trial._trial_id) as heart:
            assert wait_for(lambda: study.get_trials()[0].user_attrs.get(BEATS), 10)
            assert study.get_trials()[0].user_attrs[WORKER]["pid"] == os.getpid()
            study.tell(trial, state=TrialState.FAIL)
            assert wait_for(lambda: heart.taken, 10)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert set(received) == {signal.SIGTERM}


def test_a_storage_that_is_away_is_waited_for():
    calls = []

    def call() -> int:
        calls.append(time.monotonic())
        if len(calls) < 3:
            raise ConnectionRefusedError("away")
        return 7

    assert patiently(call) == 7
    assert len(calls) == 3
    with pytest.raises(ConnectionRefusedError):
        patiently(lambda: (_ for _ in ()).throw(ConnectionRefusedError("away")), patience=0.0)
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 / 0)
