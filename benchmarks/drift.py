"""False alarms and delays of the drift detectors on heavy-tailed errors: ``python -m benchmarks.drift``.

Every stream has a calibration of its own. Beside conformal p-values, river's detectors are given the errors
themselves, standardised by the calibration's mean and deviation, with the same settings. A shift adds half a standard
deviation of the errors' law to every error.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from river.drift import ADWIN, PageHinkley
from scipy import stats
from tqdm import tqdm

from lit_ae.detection.calibration import Calibration
from lit_ae.monitoring.ranks import Ranks, strangeness
from lit_ae.monitoring.stream import CONFIDENCE, DELTA, THRESHOLD, Stream

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
PER = 100_000  # rows
SHIFT = 0.5  # standard deviations
BEFORE, AFTER = 1_000, 3_000  # rows before and after a shift
LAWS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 1.0),
    "normal squared": (lambda rng, n: rng.normal(size=n) ** 2, np.sqrt(2.0)),
    "Student t(3), absolute": (lambda rng, n: np.abs(rng.standard_t(3, n)), np.sqrt(3 - 12 / np.pi**2)),
    "log-normal(1)": (lambda rng, n: rng.lognormal(0, 1, n), np.sqrt((np.e - 1) * np.e)),
    "Pareto(2.5)": (lambda rng, n: rng.pareto(2.5, n), float(stats.lomax(2.5).std())),
    "1 in 100 is 50 times as large": (lambda rng, n: rng.exponential(np.where(rng.random(n) < 0.01, 50, 1)), 7.05),
}
"""Errors by law, and the law's standard deviation."""


class Rung(NamedTuple):
    """At which rows something rang: our two detectors on p-values, and the same two on errors."""

    p_values: list[int]
    errors: list[int]


def rung(draw: Draw, calibration: int, rng: np.random.Generator, rows: int, shift: float = 0.0, at: int = 0) -> Rung:
    """One calibration and one stream, whose errors are larger by ``shift`` from row ``at`` on."""
    known, errors = draw(rng, calibration), draw(rng, rows)
    errors[at:] += shift
    fitted = Calibration.of(torch.from_numpy(known))
    ranks = Ranks.of(fitted.p_values(fitted.scores).numpy(), fitted.weights.numpy())
    uniform = ranks.uniform(fitted.p_values(torch.from_numpy(errors)).numpy())
    reference = strangeness(ranks.uniform(fitted.p_values(torch.from_numpy(known)).numpy()))
    ours = [change.row for change in Stream(reference).update(uniform)]
    return Rung(ours, by_errors((errors - known.mean()) / known.std(), (known - known.mean()) / known.std()))


def by_errors(errors: NDArray[np.float64], known: NDArray[np.float64]) -> list[int]:
    """Where river's detectors ring on the errors themselves, after the calibration's."""
    found = set()
    for detector in (PageHinkley(threshold=THRESHOLD, delta=DELTA, alpha=1.0), ADWIN(delta=CONFIDENCE)):
        for value in known.tolist():
            detector.update(value)
        for row, value in enumerate(errors.tolist()):
            detector.update(value)
            if detector.drift_detected:
                found.add(row)
    return sorted(found)


class Figures(NamedTuple):
    """What one way of watching makes of one law: alarms in stationary rows, and the delay of each shift (inf: none)."""

    alarms: int
    rows: int
    delays: NDArray[np.float64]

    @property
    def rate(self) -> str:
        """False alarms in 100,000 rows, with the exact 95 % interval of a Poisson count."""
        low = stats.chi2.ppf(0.025, 2 * self.alarms) / 2 if self.alarms else 0.0
        high = stats.chi2.ppf(0.975, 2 * self.alarms + 2) / 2
        a_row = PER / self.rows
        return f"{self.alarms * a_row:.2f} ({low * a_row:.2f} to {high * a_row:.2f})"

    @property
    def delay(self) -> str:
        """Median and 95th percentile, in rows."""
        median, most = np.quantile(self.delays, [0.5, 0.95], method="inverted_cdf")
        return f"{median:.0f}, {most:.0f}"


def measure(name: str, calibration: int, asked: argparse.Namespace) -> list[Figures]:
    """Both ways of watching on one law."""
    draw, deviation = LAWS[name]
    rng = np.random.default_rng([asked.seed, calibration, list(LAWS).index(name)])
    still = [rung(draw, calibration, rng, PER) for _ in tqdm(range(asked.streams), desc=name, disable=None)]
    moved = [rung(draw, calibration, rng, BEFORE + AFTER, SHIFT * deviation, BEFORE) for _ in range(asked.shifts)]
    figures = []
    for way in Rung._fields:
        alarms = sum(len(getattr(one, way)) for one in still)
        delays = [min((row - BEFORE for row in getattr(one, way) if row >= BEFORE), default=np.inf) for one in moved]
        figures.append(Figures(alarms, asked.streams * PER, np.array(delays)))
    return figures


def table(asked: argparse.Namespace) -> Iterator[str]:
    """Lines of Markdown."""
    yield f"False alarms in {PER:,} stationary rows (95 %), and the delay of a {SHIFT} sd shift in rows (median, 95th)."
    yield ""
    yield "| errors | calibration rows | p-values: false alarms | delay | errors: false alarms | delay |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for calibration in asked.calibration:
        for name in LAWS:
            ours, theirs = measure(name, calibration, asked)
            cells = [name, f"{calibration:,}", ours.rate, ours.delay, theirs.rate, theirs.delay]
            yield f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--calibration", nargs="+", type=int, default=[300, 1000, 5000], help="rows of a calibration")
    parser.add_argument("--streams", type=int, default=20, help=f"stationary streams of {PER:,} rows a law")
    parser.add_argument("--shifts", type=int, default=200, help="streams with a shift a law")
    parser.add_argument("--seed", type=int, default=0)
    for line in table(parser.parse_args(argv)):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
