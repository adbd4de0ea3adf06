"""How far a study is: in the terminal, and as curves of its MLflow run."""

import statistics
import time
from datetime import datetime
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState

from pipelines.tuning.definition import Search
from pipelines.tuning.liveness import slot
from pipelines.tuning.plan import reason

if TYPE_CHECKING:
    from pipelines.tracking import Tracker


class Progress:
    """Tells each trial's end once.

    Args:
        search: what it searches.
        tracker: the study's own run; None where another command has it.
    """

    def __init__(self, search: Search, tracker: "Tracker | None"):
        self._search, self._tracker = search, tracker
        self._told: set[int] = set()
        self._trials: list[FrozenTrial] = []

    @property
    def waiting(self) -> int:
        """Trials that nobody works on; without an end there is always one more."""
        if self._search.trials is None:
            return 10**6
        return sum(trial.state == TrialState.WAITING for trial in self._trials)

    @property
    def running(self) -> int:
        """Trials that are worked on, here or elsewhere."""
        return sum(trial.state == TrialState.RUNNING for trial in self._trials)

    def tell(self, trials: list[FrozenTrial]) -> int:
        """Prints and logs those of the trials (see :func:`last_attempts`) that have ended since; returns how many."""
        self._trials = trials
        ended = [trial for trial in self._trials if trial.state.is_finished()]
        new = [trial for trial in ended if slot(trial) not in self._told]
        for trial in sorted(new, key=lambda one: one.datetime_complete or datetime.max):
            self._told.add(slot(trial))
            print(self._line(trial), flush=True)
            self._log(trial)
        return len(new)

    def _line(self, trial: FrozenTrial) -> str:
        total = len(self._trials) if self._search.trials else "?"
        left = time_left(self._trials)
        values = " ".join(
            f"{name} {value:.5g}" for name, value in zip(self._search.objectives, trial.values or [], strict=False)
        )
        what = reason(trial) if trial.state == TrialState.FAIL else values
        about = f", {left} left" if left else ""
        return (
            f"trial {slot(trial)}  {trial.state.name}  {what}  [{parameters(trial)}]  {len(self._told)}/{total}{about}"
        )

    def _log(self, trial: FrozenTrial) -> None:
        if self._tracker is None or trial.state != TrialState.COMPLETE:
            return
        named = dict(zip(self._search.objectives, trial.values, strict=True))
        self._tracker.log_metrics(named, slot(trial))
        if len(named) == 1:
            self._tracker.log_metrics({f"best/{name}": self._best_until(trial) for name in named}, len(self._told))

    def _best_until(self, trial: FrozenTrial) -> float:
        done = [t for t in self._trials if slot(t) in self._told and t.state == TrialState.COMPLETE]
        best = min if next(iter(self._search.objectives.values())) == "minimize" else max
        return best(t.values[0] for t in done)


def parameters(trial: FrozenTrial) -> str:
    """A trial's parameters in a few words."""
    return ", ".join(f"{path.rpartition('.')[2]}={short(value)}" for path, value in trial.params.items())


def short(value: object) -> str:
    """A value in at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def time_left(trials: list[FrozenTrial]) -> str:
    """An estimate from the trials that have ended and the number that runs at once; empty where there is none."""
    done = [t.duration.total_seconds() for t in trials if t.state.is_finished() and t.duration]
    running = [t for t in trials if t.state == TrialState.RUNNING]
    waiting = sum(t.state == TrialState.WAITING for t in trials)
    if not done or not (running or waiting):
        return ""
    usual = statistics.mean(done)
    ages = [(datetime.now() - t.datetime_start).total_seconds() for t in running if t.datetime_start]
    rest = sum(max(0.0, usual - age) for age in ages) + usual * waiting
    return "about " + time.strftime("%H:%M:%S", time.gmtime(rest / max(1, len(running))))
