"""Readings of many sensors: a water loop's (SKAB), or made-up ones whose best score is known."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from data.intake import NORMAL, Meaning, Pieces
from data.readers import TableReader
from data.roles import Rows
from data.sensor_generator import SENSORS, SPIKED, normal_readings, optimal_scores, spiked_readings
from data.splits import ROLES, Shares
from data.windows import Roles, Windows
from lit_ae.errors import UserError

Source = Literal["synthetic", "SKAB"]
SYNTHETIC_ROWS = {"fit": 8000, "tune": 1000, "calibrate": 1000, "test": 1000}
SPIKED_ROWS = 200
SKAB_TRAINING_ROWS, SKAB_FILES = 400, 34
SKAB_PLACE = "https://github.com/waico/SKAB, folder data"


class Sensors(Windows):
    """Readings of a plant's sensors, as rows or as sliding windows.

    ``synthetic``: 50 standard normal sensors, each two correlated by 0.3; 8,000 normal rows to train on, 1,000 each to
    tune and calibrate with, and to test with 1,000 normal rows and 200 in which ten sensors, always the same, are
    raised by a number between the two ``spikes`` (another for each row and sensor).
    ``SKAB``: the 34 files with labels of the Skoltech anomaly benchmark 0.9 (I. Katser, V. Kozitsin, 2020), eight
    sensors of a water loop once a second, in ``<root>/SKAB/data``. Of each file the first 400 rows are to train, tune
    and calibrate with, the rest is to test with.

    Args:
        source: ``synthetic`` or ``SKAB``.
        file: one file of SKAB, such as ``valve1/0``; all of them together by default.
        spikes: the smallest and the largest synthetic spike, in standard deviations of a sensor.
        window: rows of a window; 1 for single rows.
        tune_share: share of SKAB's training rows for tuning.
        calibrate_share: share of SKAB's training rows for calibration.
        **loading: what windows take, see :class:`data.windows.Windows`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self,
        source: Source = "synthetic",
        file: str | None = None,
        spikes: list[float] = [3.0, 6.0],  # noqa: B006 - never changed, and shown as the default
        window: int = 1,
        tune_share: float = 0.15,
        calibrate_share: float = 0.25,
        **loading: Any,
    ):
        super().__init__(window=window, tune_share=tune_share, calibrate_share=calibrate_share, **loading)
        if source not in get_args(Source):
            raise UserError(f"data.source is {source!r}, but it must be one of {', '.join(get_args(Source))}.")
        if len(spikes) != 2 or not spikes[0] < spikes[1]:
            raise UserError(f"data.spikes is {spikes}, but it must be two numbers, the smaller one first.")
        self.source, self.file, self.spikes = source, file, spikes
        self.synthetic = source == "synthetic"

    @property
    def folder(self) -> Path:
        """Where SKAB's files are."""
        return self.root / "SKAB" / "data"

    @cached_property
    def meaning(self) -> Meaning:
        if self.synthetic:
            names = [f"sensor_{number:02d}" for number in range(SENSORS)]
            return Meaning(names, lambda frame: frame["kind"], entity="role", kinds=(NORMAL, "spiked"))
        others = ("datetime", "anomaly", "changepoint", "kind", "file")
        names = [name for name in self._read(self._files()[0]).columns if name not in others]
        return Meaning(names, lambda frame: frame["kind"], "file", "datetime", (NORMAL, "anomaly"))

    def pieces(self) -> Pieces:
        if self.synthetic:
            return lambda: [self._made_up()]
        return lambda: map(self._read, self._files())

    @cached_property
    def roles(self) -> Roles:
        if not self.synthetic:
            return super().roles
        return self.frame["role"].map({role: number for number, role in enumerate(ROLES)}).to_numpy(np.int64)

    def roles_by_time(self, place: Roles, length: Roles) -> Roles:
        shares = Shares(self.tune_share, self.calibrate_share, 0.0)
        trains = shares.roles(place / SKAB_TRAINING_ROWS)
        return np.where(place < SKAB_TRAINING_ROWS, trains, ROLES.index("test"))

    def optimal_scores(self, rows: Rows) -> Tensor | None:
        if not self.synthetic or self.window > 1:
            return None
        return torch.from_numpy(optimal_scores(rows.raw.numpy(), *self.spikes))

    @property
    def spiked(self) -> list[int]:
        """The sensors that the synthetic anomalies raise; none for other data."""
        return list(SPIKED) if self.synthetic else []

    def _made_up(self) -> pd.DataFrame:
        """All rows; those of the test in no particular order."""
        rng = np.random.default_rng(0)
        names = list(self.meaning.features)
        normal = [
            pd.DataFrame(normal_readings(rows, rng), columns=names).assign(kind=NORMAL, role=role)
            for role, rows in SYNTHETIC_ROWS.items()
        ]
        spiked = pd.DataFrame(spiked_readings(SPIKED_ROWS, rng, *self.spikes), columns=names)
        test = pd.concat([normal.pop(), spiked.assign(kind="spiked", role="test")])
        return pd.concat([*normal, test.iloc[rng.permutation(len(test))]], ignore_index=True)

    def _files(self) -> list[Path]:
        everything = sorted(file for file in self.folder.glob("*/*.csv") if file.parent.name != "anomaly-free")
        if self.file is None and len(everything) == SKAB_FILES:
            return everything
        if self.file is not None and (one := self.folder / f"{self.file}.csv") in everything:
            return [one]
        wanted = f"{self.file}.csv" if self.file else f"some of the {SKAB_FILES} files in valve1, valve2 and other"
        raise UserError(
            f"{self.folder} lacks {wanted}: get the files from {SKAB_PLACE}, put them there, or say where they are "
            "with --data.root or the environment variable LIT_AE_DATA."
        )

    def _read(self, file: Path) -> pd.DataFrame:
        frame = pd.concat(TableReader(file, delimiter=";", as_text=frozenset({"datetime"})).pieces(), ignore_index=True)
        kind = np.where(frame["anomaly"] == 1, "anomaly", NORMAL)
        return frame.assign(kind=kind, file=f"{file.parent.name}/{file.stem}")
