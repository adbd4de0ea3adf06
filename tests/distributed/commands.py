"""Training commands in processes of their own, and what they leave."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import torch
from mlflow.entities import Run

ROOT = Path(__file__).resolve().parents[2]
TRAIN = [sys.executable, "-m", "pipelines.train"]
QUICK = [
    "--data=Digits", "--data.fit_rows=205", "--data.batch_size=50", "--evaluation.nll_samples=5",
    "--evaluation.probe_rows=0", "--tracking.pictures_every=0", "--trainer.accelerator=cpu",
]  # fmt: skip
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


class Started:
    """A command in a process group of its own, its output in a file.

    Args:
        command: the words.
        folder: its working directory, which also holds the store.
        log: the file's name.
    """

    def __init__(self, command: list[str], folder: Path, log: str = "log"):
        self._log = folder / log
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("MASTER_", "LOCAL_", "NODE_"))
        }
        store = f"sqlite:///{folder / 'mlflow.db'}"
        environment = {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": store}
        with self._log.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def until(self, text: str, seconds: float = 100) -> "Started":
        """Waits until the output holds ``text``."""
        end = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.02)
        return self

    def ended(self, seconds: float = 150) -> int:
        """The exit code, once all is over; no process of the group may be left."""
        try:
            code = self.process.wait(seconds)
            time.sleep(0.2)
            assert not self._group_lives(), "a process outlived its training"
            return code
        finally:
            if self._group_lives():
                os.killpg(self.process.pid, signal.SIGKILL)

    def _group_lives(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


def train(folder: Path, *options: str) -> int:
    """Trains to the end; the exit code."""
    return Started([*TRAIN, *QUICK, *options], folder).ended()


def two_nodes(folder: Path, *options: str) -> list[int]:
    """Trains on two nodes, started by torchrun as the README says; both exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = ["--trainer.num_nodes=2", "--trainer.devices=1", "--trainer.strategy=ddp"]
    started = [
        Started(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1"),
                *(f"--node_rank={rank}", "--master_addr=127.0.0.1", f"--master_port={port}"),
                *("-m", "pipelines.train", *QUICK, *nodes, *options),
            ],
            folder,
            f"log{rank}",
        )
        for rank in range(2)
    ]
    return [node.ended() for node in started]


def the_run(folder: Path) -> Run:
    """The one run of the folder's store; there may be no other."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    return run


def history(folder: Path, name: str) -> list[tuple[int, float]]:
    """A figure of the one run by step."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    points = client.get_metric_history(the_run(folder).info.run_id, name)
    return sorted((point.step, point.value) for point in points)


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Those of the last checkpoint of the one run."""
    checkpoint = folder / "outputs" / the_run(folder).info.run_id / "checkpoints" / "last.ckpt"
    return torch.load(checkpoint, weights_only=True)["state_dict"]
