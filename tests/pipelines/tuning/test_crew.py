"""What each worker gets of the machine, and what becomes of workers."""

import os
import sys

import pytest

from pipelines.tuning.crew import Crew, share_of
from tests.pipelines.helpers import wait_for

SLEEPS = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]


@pytest.fixture
def cores(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)


@pytest.mark.parametrize(("size", "threads"), [(1, "8"), (2, "4"), (3, "2"), (20, "1")])
def test_workers_share_the_cores(size, threads, cores):
    assert share_of(0, size) == {"OMP_NUM_THREADS": threads}


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_threads_that_the_user_has_set_stay(name, cores, monkeypatch):
    monkeypatch.setenv(name, "3")
    assert share_of(1, 2) == {}


def test_workers_take_the_gpus_in_turn(cores, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [share_of(place, 3)["CUDA_VISIBLE_DEVICES"] for place in range(3)] == ["0", "1", "0"]
    assert "CUDA_VISIBLE_DEVICES" not in share_of(0, 1)


def test_a_dead_worker_is_counted_and_replaced_and_all_end_together(tmp_path):
    crew = Crew(SLEEPS, "studies.journal", 2, tmp_path)
    crew.keep_up(5)
    try:
        assert crew.working == 2
        first, second = crew._workers.values()
        first.kill()
        first.wait()
        crew.bury()
        assert (crew.working, crew.deaths) == (1, 1)
        crew.keep_up(1)
        assert crew.working == 1
        crew.keep_up(2)
        assert crew.working == 2
        assert wait_for(lambda: crew.log_of(1).read_text() == "here\n")
    finally:
        crew.stop()
    assert (crew.working, second.poll() is not None) == (0, True)
    crew.forget_deaths()
    assert crew.deaths == 0
