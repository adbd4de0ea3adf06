"""Which process opens the run, and what becomes of the others."""

import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import lightning as L
import pytest
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from lit_ae.errors import UserError
from pipelines import processes, rank


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"NODE_RANK": "1"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True),
        ({"RANK": "1", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        ({"RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "3"}, False),
    ],
)
def test_the_first_process_of_all_opens_the_run(environment, first, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert rank.is_rank_zero() is first


def trainer_with(strategy: str) -> L.Trainer:
    return L.Trainer(accelerator="cpu", devices=2, strategy=strategy, logger=False, enable_checkpointing=False)


def test_only_strategies_that_keep_the_model_are_taken():
    processes.check_strategy(trainer_with("ddp"))
    for strategy in ("ddp_spawn", "ddp_fork"):
        with pytest.raises(UserError, match=r"set trainer.strategy to ddp\.$"):
            processes.check_strategy(trainer_with(strategy))


@pytest.fixture
def launch(monkeypatch):
    """A trainer, a way to start processes beside this one as Lightning does, and what was given up with."""
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(processes, "PATIENCE", 0.5)
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    trainer = trainer_with("ddp")
    launcher = trainer.strategy.launcher
    assert isinstance(launcher, _SubprocessScriptLauncher)

    def start(code: str) -> subprocess.Popen:
        launcher.procs.append(subprocess.Popen([sys.executable, "-c", code]))
        return launcher.procs[-1]

    return SimpleNamespace(trainer=trainer, start=start, codes=codes, reasons=[])


def test_no_process_outlives_the_block(launch):
    with processes.minding_the_others(launch.trainer, launch.reasons.append):
        idle = launch.start("import time; time.sleep(60)")
        time.sleep(0.3)
        assert idle.poll() is None
    assert idle.poll() is not None
    assert launch.reasons == []


def fails_beside(launch, code: str) -> subprocess.Popen:
    """The other process, after an error of this one."""

    def training() -> None:
        with processes.minding_the_others(launch.trainer, launch.reasons.append):
            others.append(launch.start(code))
            time.sleep(0.3)
            raise ValueError("mine")

    others: list[subprocess.Popen] = []
    with pytest.raises(ValueError, match="mine"):
        training()
    return others[0]


def test_no_process_outlives_an_error(launch):
    assert fails_beside(launch, "import time; time.sleep(60)").poll() is not None
    assert launch.reasons == []


def test_a_failure_that_this_process_sees_is_left_to_it(launch):
    assert fails_beside(launch, "raise SystemExit(3)").poll() is not None
    time.sleep(1)
    assert launch.reasons == launch.codes == []


def test_a_process_that_ends_well_is_no_failure(launch):
    with processes.minding_the_others(launch.trainer, launch.reasons.append):
        launch.start("pass").wait()
        time.sleep(1)
    assert launch.reasons == launch.codes == []


def test_a_failure_that_this_process_does_not_see_ends_it(launch):
    with processes.minding_the_others(launch.trainer, launch.reasons.append):
        failed = launch.start("raise SystemExit(3)")
        time.sleep(2)
    assert launch.codes[:1] == [1]
    assert launch.reasons[0] == f"process {failed.pid} of this training ended with exit code 3"


def test_one_process_alone_has_nobody_to_mind():
    alone = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    before = threading.active_count()
    with processes.minding_the_others(alone, pytest.fail):
        assert threading.active_count() == before
