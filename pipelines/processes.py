"""The processes of one training, and what becomes of the others when one fails."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import lightning as L
import torch.distributed
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher, _SubprocessScriptLauncher

from lit_ae.errors import UserError

PATIENCE = 15.0  # s that this process has to fail by itself after another one did


def end_process_group() -> None:
    """Ends the processes' communication: what follows is done by the first of them alone."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def check_strategy(trainer: L.Trainer) -> None:
    """Refuses strategies whose processes train on a copy of the model that is lost with them.

    Raises:
        UserError: for ddp_spawn, ddp_fork and ddp_notebook.
    """
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            "ddp_spawn, ddp_fork and ddp_notebook lose the trained model with their processes: "
            "set trainer.strategy to ddp."
        )


@contextmanager
def minding_the_others(trainer: L.Trainer, give_up: Callable[[str], None]) -> Iterator[None]:
    """Lets no process that Lightning starts beside this one outlive the block, and none of them fail unnoticed.

    Processes talk at every step, so that this one fails soon after another. Where it still waits after ``PATIENCE``
    seconds, as for a process that never came, ``give_up`` is told why, and this process ends with exit code 1.
    (Lightning would kill it within seconds, before the run could be given its status.)

    Args:
        trainer: what starts the processes.
        give_up: leaves everything in order; called with a reason, in a thread of its own.
    """
    strategy = trainer.strategy
    environment = strategy.cluster_environment if isinstance(strategy, ParallelStrategy) else None
    if environment is None or environment.creates_processes_externally:
        yield
        return
    assert isinstance(strategy.launcher, _SubprocessScriptLauncher)
    watch = _Watch(strategy.launcher, give_up)
    watch.start()
    try:
        yield
    finally:
        watch.end()


class _Watch(threading.Thread):
    def __init__(self, launcher: _SubprocessScriptLauncher, give_up: Callable[[str], None]):
        super().__init__(name="other-processes", daemon=True)
        self._launcher, self._give_up = launcher, give_up
        self._others: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            if self._launcher.procs:
                self._others += self._launcher.procs
                self._launcher.procs.clear()  # takes them from Lightning's own observer, which would kill this process
            failed = next((other for other in self._others if other.poll()), None)
            if failed is not None and not self._ended.wait(PATIENCE):
                self._give_up(f"process {failed.pid} of this training ended with exit code {failed.returncode}")
                os._exit(1)

    def end(self) -> None:
        """Stops watching; the others have nothing left to do."""
        self._ended.set()
        self.join()
        for other in [*self._others, *self._launcher.procs]:
            other.kill()
            other.wait()
        self._launcher.procs.clear()
