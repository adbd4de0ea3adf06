"""A process that works on a study's trials, one after another, until none waits."""

import argparse
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

import optuna
import torch
from optuna import Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from lit_ae.errors import UserError
from pipelines.callbacks import Interrupted
from pipelines.command_line import one_line_errors
from pipelines.rank import is_rank_zero
from pipelines.terminal import keep_quiet
from pipelines.tuning.command import STORAGE_VARIABLE
from pipelines.tuning.plan import plan_of
from pipelines.tuning.samplers import prepare
from pipelines.tuning.storage import find_study, open_storage, patiently
from pipelines.tuning.trial import Work, follow, work_on


class StopBetweenTrials:
    """Notes a signal that comes while no trial is trained, and hands it on to a trial of its own processes."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.child: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        if self.child is not None:
            self.child.send_signal(signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.tuning.worker", description=__doc__)
    parser.add_argument("--study", required=True, help=f"its name in the storage that {STORAGE_VARIABLE} names")
    parser.add_argument("--until", type=float, default=float("inf"), help="no trial begins after (seconds, Unix time)")
    parser.add_argument("--trial", type=int, help="work on this trial alone, which has been claimed already")
    asked = parser.parse_args(argv)
    with one_line_errors():
        keep_quiet()
        work = opened(os.environ[STORAGE_VARIABLE], asked.study)
        if asked.trial is not None:
            return alone(work, asked.trial)
        return work_through(work, asked.until, lambda number: command(asked.study, number))


def opened(url: str, name: str) -> Work:
    """The study, ready to be worked on.

    Raises:
        UserError: the storage does not answer, or has no such study.
    """
    study = find_study(name, open_storage(url))
    plan = plan_of(study) if study else None
    if not study or not plan:
        raise UserError(
            f"There is no study '{name}' in this storage: begin it with python -m pipelines.tune --study …."
        )
    return Work(study, plan)


def command(name: str, number: int) -> list[str]:
    """Works on one claimed trial in a process of its own."""
    return [sys.executable, "-m", "pipelines.tuning.worker", "--study", name, "--trial", str(number)]


def work_through(work: Work, until: float, alone: Callable[[int], list[str]]) -> int:
    """Claims trial after trial; returns the exit code."""
    stop, parent = StopBetweenTrials(), os.getppid()
    while stop.signal is None and time.time() < until and os.getppid() == parent:
        if (number := claim(work)) is None:
            break
        if work.plan.is_isolated:
            stop.child = subprocess.Popen(alone(number))
            stop.child.wait()
            continue
        try:
            work_on(work, begun(work, number))
        except Interrupted as signal_:
            return signal_.exit_code
        finally:
            tidy()
    return 128 + stop.signal if stop.signal else 0


def claim(work: Work) -> int | None:
    """The number of a trial that waited and is now this process's own; None where none waits.

    A study without an end has a new trial for everyone.
    """
    study = work.study
    for waiting in patiently(lambda: study.get_trials(deepcopy=False, states=(TrialState.WAITING,))):
        try:
            if patiently(lambda: study._storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)):  # noqa: B023
                return waiting.number
        except UpdateFinishedTrialError:
            continue
    return patiently(study.ask).number if work.plan.search.trials is None else None


def begun(work: Work, number: int) -> Trial:
    """The claimed trial, with a sampler of its own."""
    prepare(work.study, work.plan.search, number, work.plan.epochs)
    frozen = work.study.get_trials(deepcopy=False)[number]
    return optuna.Trial(work.study, frozen._trial_id)


def alone(work: Work, number: int) -> int:
    """Works on one claimed trial as one process of its group."""
    try:
        if is_rank_zero():
            work_on(work, begun(work, number))
        else:
            follow(work, work.study.get_trials(deepcopy=False)[number])
    except Interrupted as signal_:
        return signal_.exit_code
    return 0


def tidy() -> None:
    """Gives back what a training has held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
