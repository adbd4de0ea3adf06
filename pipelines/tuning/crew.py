"""The worker processes of one command: as many as are wanted, replaced when they die, stopped together."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pipelines.tuning.command import STORAGE_VARIABLE

PATIENCE = 60.0  # s that a worker has to hand its trial back
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # what a user may have set; MKL follows the first


class Crew:
    """Starts workers and looks after them.

    Args:
        command: of one worker.
        storage: where its study is kept.
        size: how many there are at most.
        log: folder of what they print.

    Attributes:
        deaths: workers that ended otherwise than by themselves, since :meth:`forget_deaths`.
    """

    def __init__(self, command: list[str], storage: str, size: int, log: Path):
        self._environment = {STORAGE_VARIABLE: storage}
        self._command, self._size, self._log = command, size, log
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self.deaths = 0

    @property
    def working(self) -> int:
        """Workers that live."""
        return len(self._workers)

    def bury(self) -> None:
        """Takes note of those that have ended."""
        for place, worker in list(self._workers.items()):
            if worker.poll() is not None:
                self.deaths += worker.returncode != 0
                del self._workers[place]

    def forget_deaths(self) -> None:
        """There was progress since."""
        self.deaths = 0

    def keep_up(self, wanted: int) -> None:
        """Starts workers, as long as there are fewer than ``wanted`` and fewer than the size."""
        for place in range(self._size):
            if place not in self._workers and len(self._workers) < wanted:
                self._workers[place] = self._start(place)

    def log_of(self, place: int) -> Path:
        """What a worker prints."""
        return self._log / f"worker_{place}.log"

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        self._log.mkdir(parents=True, exist_ok=True)
        with self.log_of(place).open("ab") as log:
            environment = {**os.environ, **self._environment, **share_of(place, self._size)}
            return subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """Ends all workers: their trials are handed back, and those that don't end in time are killed."""
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for worker in self._workers.values():
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
        self._workers.clear()


def worker_command(name: str, until: float) -> list[str]:
    """Starts one worker."""
    return [sys.executable, "-m", "pipelines.tuning.worker", "--study", name, "--until", str(until)]


def share_of(place: int, size: int) -> Mapping[str, str]:
    """A worker's part of the machine: cores shared evenly, GPUs in turn; what the user has set stays."""
    import torch

    share: dict[str, str] = {}
    if not any(name in os.environ for name in THREADS):
        share[THREADS[0]] = str(max(1, len(os.sched_getaffinity(0)) // size))
    gpus = torch.cuda.device_count()
    if size > 1 and gpus > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
        share["CUDA_VISIBLE_DEVICES"] = str(place % gpus)
    return share
