"""What the tests of studies share: a small study, and ways to run it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.tune import main
from tests.pipelines.conftest import Answer, answered
from tests.pipelines.helpers import ROOT

STUDY = {
    "recipe": "small.yaml",
    "space": {
        "model.latent_dim": {"int": [2, 16], "log": True},
        "model.optimizer.lr": {"float": [0.0001, 0.1], "log": True},
    },
    "objectives": "val/loss",
    "trials": 3,
    "final_seeds": 0,
}


@pytest.fixture
def written(recipe, store) -> Callable[..., Path]:
    """Writes the small study with changes: ``written(trials=5)``; gives its file."""

    def write(name: str = "study", **changes: Any) -> Path:
        path = Path(f"{name}.yaml")
        path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture
def tune(capsys) -> Callable[..., Answer]:
    """The command in this process; its workers are processes of their own."""

    def tuned(*words: object) -> Answer:
        return answered(main, words, capsys)

    return tuned


@pytest.fixture
def tuning() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts ``python -m pipelines.tune``; what still lives at the end is killed, its workers too."""
    started: list[subprocess.Popen] = []

    def start(*words: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "pipelines.tune", *map(str, words)]
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        started.append(subprocess.Popen(command, env=env, stdout=-1, stderr=-1, text=True, start_new_session=True))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()
