"""When a stream of p-values stops being like the calibration: ADWIN and Page-Hinkley, which river provides.

Ranks among calibration scores are uniform whatever the scores' own distribution is, so one setting holds for all. The
calibration's ranks are the beginning of the stream: a change is one against them, and how few they are is part of the
count.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN, PageHinkley

from lit_ae.monitoring.ranks import rank_of, strangeness

THRESHOLD, DELTA = 35.0, 0.2  # of Page-Hinkley, in standard deviations; see docs/monitoring.md for both
CONFIDENCE = 0.002  # of ADWIN
ENOUGH = 300  # effective calibration rows from which on the promises of benchmarks/drift.py hold


class Change(NamedTuple):
    """A stream has changed.

    Attributes:
        row: the place of the row at which it was noticed among all rows of the stream, the first one's being 0.
        detector: which one noticed it.
    """

    row: int
    detector: str


class Stream:
    """Watches ranks for a change of their level.

    In a series neighbours are alike, so the strangeness of ``block_rows`` rows is averaged and counts as one.

    Args:
        reference: strangeness of the calibration rows, or the standardised averages of their blocks, ``(n,)``.
        block_rows: rows of a block.
        block_spread: standard deviation of such an average.
    """

    def __init__(self, reference: NDArray[np.float64], block_rows: int = 1, block_spread: float = 1.0):
        self._detectors = {
            "Page-Hinkley": PageHinkley(threshold=THRESHOLD, delta=DELTA, alpha=1.0),
            "ADWIN": ADWIN(delta=CONFIDENCE),
        }
        self.block_rows, self._spread = block_rows, block_spread
        self._rows, self._waiting = 0, np.empty(0)
        self._rung(np.random.default_rng(0).permutation(reference))

    def update(self, uniform: NDArray[np.float64]) -> list[Change]:
        """The changes noticed in the next ranks ``(N,)``; a row without one (NaN) only counts as a row."""
        known = ~np.isnan(uniform)
        places = self._rows + np.flatnonzero(known)
        self._rows += len(uniform)
        values = strangeness(uniform[known])
        if self.block_rows > 1:
            values, places = self._averaged(values, places)
        return [Change(int(places[at]), name) for at, name in self._rung(values)]

    def _rung(self, values: NDArray[np.float64]) -> list[tuple[int, str]]:
        """At which values which detector rings. Page-Hinkley is given strangeness, ADWIN ranks: it needs [0, 1]."""
        rung = []
        for name, given in (("Page-Hinkley", values), ("ADWIN", rank_of(values))):
            detector = self._detectors[name]
            for at, value in enumerate(given.tolist()):
                detector.update(value)
                if detector.drift_detected:
                    rung.append((at, name))
        return sorted(rung)

    def _averaged(
        self, values: NDArray[np.float64], places: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        before, size = len(self._waiting), self.block_rows
        joined = np.append(self._waiting, values)
        whole = len(joined) // size * size
        self._waiting = joined[whole:]
        means = joined[:whole].reshape(-1, size).mean(1) / self._spread
        return means, places[np.arange(size - 1, whole, size) - before]
