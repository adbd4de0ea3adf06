"""A tracking server that can be killed, a recipe that is trained within seconds, and what is often looked up."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

ROOT = Path(__file__).parents[2]
SMALL = {
    "trainer": {"max_epochs": 3, "accelerator": "cpu"},
    "model": {
        "class_path": "lit_ae.variants.VAE",
        "init_args": {
            "latent_dim": 3,
            "network": {"class_path": "lit_ae.networks.MLP", "init_args": {"hidden": [16]}},
            "likelihood": "lit_ae.likelihoods.Bernoulli",
            "learning_rate": "lit_ae.optimization.Cosine",
        },
    },
    "data": {"class_path": "data.Digits", "init_args": {"batch_size": 50, "fit_rows": 200}},
    "evaluation": {"nll_samples": 0, "probe_rows": 0},
    "tracking": {"pictures_every": 0},
}
SENSORS = {
    "trainer": {"max_epochs": 4, "accelerator": "cpu"},
    "model": {
        "class_path": "lit_ae.variants.Autoencoder",
        "init_args": {
            "latent_dim": 6,
            "network": {"class_path": "lit_ae.networks.MLP", "init_args": {"hidden": [16]}},
        },
    },
    "data": {"class_path": "data.Sensors", "init_args": {"fit_rows": 800, "batch_size": 100, "spikes": [2.0, 4.0]}},
    "evaluation": {"bootstrap": 0, "baseline_rows": 0, "probe_rows": 0, "information_rows": 0, "tsne_rows": 0},
    "detection": {"alpha": 0.05, "scores": ["reconstruction_error"]},
    "tracking": {"pictures_every": 0},
}


class Server:
    """A real tracking server that can be killed and started again on the same port."""

    def __init__(self, directory: Path):
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self.directory}/server.db"]
        artifacts = ["--artifacts-destination", str(self.directory / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "server", *store, *artifacts, *address]
        with (self.directory / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError((self.directory / "server.log").read_text())

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def history(client: MlflowClient, run_id: str, key: str) -> list[tuple[int, float]]:
    """Step and value of each time that a metric was logged."""
    return sorted((m.step, m.value) for m in client.get_metric_history(run_id, key))


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> object:
    """What the condition says at last: something true, or what it says after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()
