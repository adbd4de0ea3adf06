"""Which trials are being worked on by a living process, and what becomes of those that are not.

Optuna's own heartbeats know databases alone, and wait minutes; this works on every storage, and at once where the
process was one of this machine.
"""

import os
import platform
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from optuna import Study, Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipelines.tuning.storage import patiently

BEAT = 10.0  # s between two beats of a trial that is worked on
GRACE = 90.0  # s without one, after which a process of another machine counts as dead
WORKER, BEATS, REASON, SLOT, DEATHS = "worker", "beat", "reason", "slot", "deaths"  # attributes of a trial
EARLIER = "retry_history"  # Optuna's own name for the attempts before this one


def here() -> str:
    """This machine, or the container on it, as far as process numbers mean the same."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def this_process() -> dict[str, Any]:
    """Names this process such that no later one is mistaken for it."""
    return {"place": here(), "pid": os.getpid(), "began": psutil.Process().create_time(), "host": platform.node()}


class Heartbeat(threading.Thread):
    """Says that a trial is being worked on. It stops this process where its parent is gone or the trial was taken.

    Args:
        storage: where the trial is.
        trial_id: the trial's id in it.
    """

    def __init__(self, storage: BaseStorage, trial_id: int):
        super().__init__(name="heartbeat", daemon=True)
        self._storage, self._trial_id = storage, trial_id
        self._parent, self._ended = os.getppid(), threading.Event()
        self.taken = False

    def __enter__(self) -> "Heartbeat":
        patiently(lambda: self._storage.set_trial_user_attr(self._trial_id, WORKER, this_process()))
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        beats, last = 0, time.monotonic()
        while not self._ended.wait(1.0):
            if os.getppid() != self._parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if time.monotonic() - last >= BEAT:
                beats, last = beats + 1, time.monotonic()
                self._beat(beats)

    def _beat(self, count: int) -> None:
        try:
            self._storage.set_trial_user_attr(self._trial_id, BEATS, count)
        except UpdateFinishedTrialError:
            self.taken = True
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception:  # the storage is away: others may take the trial, and the next beat tells
            return


class Watch:
    """Finds the trials of dead processes and hands them on.

    Args:
        study: the study.
        retries: how often a trial is taken up again.
    """

    def __init__(self, study: Study, retries: int):
        self._study, self._retries = study, retries
        self._seen: dict[int, tuple[object, float]] = {}

    def hand_on(self, trials: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
        """Fails the trials of dead processes; those with retries left wait again. Returns those without.

        Args:
            trials: the study's, where they have just been read.
        """
        lost = []
        for trial in self._study.get_trials(deepcopy=False) if trials is None else trials:
            is_dead = trial.state == TrialState.RUNNING and self._is_dead(trial)
            if is_dead and not give_back(self._study, trial, self._retries):
                lost.append(trial)
        return lost

    def _is_dead(self, trial: FrozenTrial) -> bool:
        worker = trial.user_attrs.get(WORKER)
        if worker and worker["place"] == here():
            return not _lives(worker["pid"], worker["began"])
        sign, now = (str(worker), trial.user_attrs.get(BEATS)), time.monotonic()
        known, since = self._seen.get(trial.number, (None, now))
        if known != sign:
            self._seen[trial.number] = (sign, now)
            return False
        return now - since > GRACE


def _lives(pid: int, began: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - began) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def give_back(study: Study, trial: FrozenTrial, retries: int | None = None) -> bool:
    """Ends an attempt without a result, and queues the next one with the same parameters and the same MLflow run.

    Args:
        study: the study.
        trial: the attempt.
        retries: how many more there may be after its process died; None where it was told to stop.

    Returns:
        Whether it is taken up again, by this call or somebody else's.
    """
    deaths = trial.user_attrs.get(DEATHS, 0) + (retries is not None)
    is_lost = retries is not None and deaths > retries
    try:
        if is_lost:
            set_attribute(study, trial, REASON, f"its process died {deaths} times without a word")
        patiently(lambda: study.tell(trial.number, state=TrialState.FAIL))
    except (UpdateFinishedTrialError, ValueError):
        return True
    if not is_lost:
        queue_again(study, trial, deaths)
    return not is_lost


def queue_again(study: Study, trial: FrozenTrial, deaths: int) -> None:
    """Lets an attempt that has ended without a result be followed by another."""
    kept = study.get_trials(deepcopy=False)[trial.number]
    forgotten = (WORKER, BEATS, REASON)
    attributes = {name: value for name, value in kept.user_attrs.items() if name not in forgotten}
    again = create_trial(
        state=TrialState.WAITING,
        params=kept.params,
        distributions=kept.distributions,
        intermediate_values=kept.intermediate_values,
        user_attrs={**attributes, SLOT: slot(kept), DEATHS: deaths},
        system_attrs={**kept.system_attrs, EARLIER: [*kept.system_attrs.get(EARLIER, []), kept.number]},
    )
    patiently(lambda: study.add_trial(again))


def last_attempts(study: Study) -> list[FrozenTrial]:
    """The study's trials, each as its last attempt left it, in the order of their first."""
    return without_followed(study.get_trials(deepcopy=False))


def without_followed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The same of trials that have been read already."""
    followed = {number for trial in trials for number in trial.system_attrs.get(EARLIER, ())}
    return sorted((trial for trial in trials if trial.number not in followed), key=slot)


def set_attribute(study: Study, trial: FrozenTrial, name: str, value: Any) -> None:
    """Notes something on a trial that somebody else may be working on."""
    study._storage.set_trial_user_attr(trial._trial_id, name, value)


def slot(trial: FrozenTrial | Trial) -> int:
    """The number of the trial's first attempt, by which people know it."""
    return int(trial.user_attrs.get(SLOT, trial.number))
