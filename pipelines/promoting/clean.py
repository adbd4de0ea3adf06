"""The model by its own code alone, in a process that can't import this project, or in an environment of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.metrics.ranking import Booleans, Floats
from lit_ae.spec import DataSpec
from pipelines.promoting import outside

PATIENCE = 1800  # s for loading and answering
SERIES = "series"
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Answers(NamedTuple):
    """What a packed model says of the rows that it is asked about.

    Attributes:
        error: of each row's reconstruction, in model space ``(N,)``.
        score: of its detector ``(N,)``; None where it has none.
        alarm: its verdicts ``(N,)``.
    """

    error: Floats
    score: Floats | None
    alarm: Booleans | None


class Failed(Exception):
    """The model did not load or answer; the text says why."""


def as_asked(raw: Tensor, spec: DataSpec) -> Any:
    """Rows ``(N, ...)`` in the form in which a served model is asked; each window of a table is a series of its own."""
    if spec.schema is None:
        return raw.float().numpy() if spec.tokenizer is None else np.array(spec.tokenizer.decode(raw), dtype=str)
    frame = spec.schema.decode(raw if raw.dim() == 2 else raw.flatten(0, 1))
    if raw.dim() > 2 and spec.schema.entity is not None:
        frame[spec.schema.entity] = np.arange(len(raw)).repeat(raw.shape[1])
    return frame


def answers_outside(folder: Path, raw: Tensor, spec: DataSpec, environment: str) -> Answers:
    """What the packed model in ``folder`` says of rows ``(N, ...)``.

    Args:
        folder: of the packed model.
        raw: rows in the user's own units, as numbers.
        spec: the model's.
        environment: process, virtualenv or uv.

    Raises:
        Failed: it does not load or answer.
        UserError: uv is asked for and not there.
    """
    with tempfile.TemporaryDirectory(prefix="lit_ae_clean_") as scratch:
        place = Path(scratch)
        python = _interpreter(environment, folder, place)
        asked = _written(as_asked(raw, spec), place)
        _run(
            [python, "-I", "-B", "-W", "ignore", outside.__file__, str(folder), str(asked), str(place / "answers.npz")],
            place,
        )
        with np.load(place / "answers.npz") as kept:
            found = dict(kept)
    if not Path(str(found["code"])).is_relative_to(folder.resolve()):
        raise Failed(f"its code was loaded from {found['code']}, and not from the model")
    last = slice(None) if spec.schema is None or raw.dim() == 2 else slice(raw.shape[1] - 1, None, raw.shape[1])
    score, alarm = (found[name][last] if name in found else None for name in ("score", "alarm"))
    return Answers(found["error"][last], score, alarm)


def _written(asked: Any, place: Path) -> Path:
    if isinstance(asked, pd.DataFrame):
        asked.to_parquet(place / "rows.parquet")
        return place / "rows.parquet"
    np.savez(place / "rows.npz", rows=asked)
    return place / "rows.npz"


def find_uv() -> str | None:
    """Where uv is, beside this Python or on the path."""
    return shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def _interpreter(environment: str, folder: Path, place: Path) -> str:
    """A Python with this environment's packages, or with those alone that the model asks for."""
    if environment == "process":
        return sys.executable
    home, requirements = place / "environment", str(folder / "requirements.txt")
    python = str(home / "bin" / "python")
    if environment == "virtualenv":
        _run([sys.executable, "-m", "venv", str(home)], place)
        _run([python, "-m", "pip", "install", "--quiet", "-r", requirements], place)
        return python
    uv = find_uv()
    if uv is None:
        raise UserError("There is no uv here: install it, or take --environment virtualenv.")
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], place)
    _run([uv, "pip", "install", "--quiet", "--python", python, "-r", requirements], place)
    return python


def _run(command: list[str], place: Path) -> None:
    """Runs a command in an empty folder with hardly any environment variables.

    Raises:
        Failed: it does not end well; with what it said last.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env=kept | {"CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"it took more than {PATIENCE} s") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise Failed((lines or [f"exit code {done.returncode}"])[-1][:300].rstrip("."))
