"""What rows that somebody has looked at say of the alarms."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lit_ae.errors import UserError
from lit_ae.monitoring.profile import Promise
from lit_ae.proportions import clopper_pearson
from pipelines.monitoring.intake import Reading, require_columns

LEVEL = 0.01


class Realised(NamedTuple):
    """What came of the alarms among labelled rows.

    Attributes:
        normals: rows confirmed as normal.
        false_alarms: how many of them alarmed.
        interval: the realised false-alarm rate lies between the two with 95 %.
        anomalies: rows confirmed as anomalies.
        found: how many of them alarmed.
        exceeds: whether normal rows alarm more often than the calibration promises.
    """

    normals: int
    false_alarms: int
    interval: tuple[float, float]
    anomalies: int
    found: int
    exceeds: bool


class Labels:
    """Labelled rows, of which the alarms are noted as all rows pass.

    Args:
        path: a table with the columns row and anomaly.
        reading: how it is read.

    Raises:
        UserError: it lacks a column, or holds other labels than 0 and 1.
    """

    def __init__(self, path: Path, reading: Reading):
        rows, anomaly = [], []
        for frame in reading.of(path).pieces():
            require_columns(frame, ("row", "anomaly"), path, "it says nothing of the rows")
            labels = frame["anomaly"].replace({"true": 1, "false": 0}).astype(str).str.removesuffix(".0")
            if wrong := sorted(set(labels) - {"0", "1"}):
                raise UserError(f"{path} holds the label '{wrong[0]}': anomaly must be 0 or 1.")
            rows.append(frame["row"].to_numpy(np.int64))
            anomaly.append((labels == "1").to_numpy())
        self.path, joined = path, np.concatenate(rows)
        order = np.argsort(joined)
        self._rows, self._anomaly = joined[order], np.concatenate(anomaly)[order]
        self._alarm, self._seen = np.zeros(len(order), dtype=bool), np.zeros(len(order), dtype=bool)

    def note(self, first: int, alarm: NDArray[np.bool_], scored: NDArray[np.bool_]) -> None:
        """Takes the alarms of the next rows in, the first of which has this number."""
        begin, end = np.searchsorted(self._rows, [first, first + len(alarm)])
        places = self._rows[begin:end] - first
        self._alarm[begin:end], self._seen[begin:end] = alarm[places], scored[places]

    def realised(self, promise: Promise) -> Realised:
        """What came of it.

        Raises:
            UserError: none of the labelled rows is among those that were scored.
        """
        from scipy.stats import betabinom

        if not self._seen.any():
            raise UserError(f"None of the rows that {self.path} labels was scored: row counts from 0.")
        normal = self._seen & ~self._anomaly
        count, false = int(normal.sum()), int((self._alarm & normal).sum())
        worth, alarms = max(1, count // promise.block_rows), false / promise.block_rows
        more = betabinom.sf(np.ceil(alarms) - 1, worth, *promise.law)
        found = self._seen & self._anomaly
        return Realised(
            count,
            false,
            clopper_pearson(alarms, worth),
            int(found.sum()),
            int((self._alarm & found).sum()),
            bool(count and more <= LEVEL),
        )
