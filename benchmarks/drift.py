"""False alarms and delays of the drift detectors on heavy-tailed errors: ``python -m benchmarks.drift``.

Every stream has a calibration of its own. Beside conformal p-values, river's detectors are given the errors
themselves, standardised by the calibration's mean and deviation, with the same settings. A shift adds half a standard
deviation of the errors' law to every error. Looks are those of pipelines.monitor at 1,000 stationary rows each (scores
alone): how many ask for something.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from river.drift import ADWIN, PageHinkley
from scipy import stats
from tqdm import tqdm

from lit_ae.detection.calibration import Calibration
from lit_ae.monitoring.decision import decide
from lit_ae.monitoring.profile import Profile, Promise
from lit_ae.monitoring.ranks import Ranks, strangeness
from lit_ae.monitoring.stream import CONFIDENCE, DELTA, THRESHOLD, Stream
from lit_ae.monitoring.watch import Watch

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
PER = 100_000  # rows
SHIFT = 0.5  # standard deviations
LOOK, ALPHA = 1_000, 0.02  # rows of a look by pipelines.monitor, and the budget of the model's alarms
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
    """At which rows something rang.

    Attributes:
        p_values: our two detectors.
        errors: the same two on the errors.
        looks: how many looks of ``LOOK`` rows asked for something.
    """

    p_values: list[int]
    errors: list[int]
    looks: int


def rung(draw: Draw, calibration: int, rng: np.random.Generator, rows: int, shift: float = 0.0, at: int = 0) -> Rung:
    """One calibration and one stream, whose errors are larger by ``shift`` from row ``at`` on."""
    known, errors = draw(rng, calibration), draw(rng, rows)
    errors[at:] += shift
    fitted = Calibration.of(torch.from_numpy(known))
    profile = profile_of(fitted, known)
    p_values = fitted.p_values(torch.from_numpy(errors)).numpy()
    ours = [change.row for change in Stream(profile.stream).update(profile.ranks.uniform(p_values))]
    asked = 0 if shift else sum(asks(profile, p_values[at : at + LOOK]) for at in range(0, rows, LOOK))
    return Rung(ours, by_errors((errors - known.mean()) / known.std(), (known - known.mean()) / known.std()), asked)


def profile_of(fitted: Calibration, known: NDArray[np.float64]) -> Profile:
    """What a model with these calibration errors would keep, without features and latent."""
    ranks = Ranks.of(fitted.p_values(fitted.scores).numpy(), fitted.weights.numpy())
    threshold, rows = fitted.threshold(ALPHA), fitted.effective_rows
    above = float((fitted.scores > threshold).sum())
    promise = Promise(ALPHA, threshold, "conformal", len(known), rows, above, 1)
    strange = strangeness(ranks.uniform(fitted.p_values(torch.from_numpy(known)).numpy()))
    return Profile(promise, ranks, fitted.scores.numpy(), strange, 1.0, (), None)


def asks(profile: Profile, p_values: NDArray[np.float64]) -> bool:
    """Whether pipelines.monitor would end with another exit code than 0."""
    watch = Watch(profile)
    watch.add(p_values, p_values <= ALPHA)
    return decide(watch.findings().evidence).exit_code != 0


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


def rate(alarms: int, streams: int) -> str:
    """False alarms in 100,000 rows, with the exact 95 % interval of a Poisson count."""
    low = stats.chi2.ppf(0.025, 2 * alarms) / 2 if alarms else 0.0
    high = stats.chi2.ppf(0.975, 2 * alarms + 2) / 2
    return f"{alarms / streams:.2f} ({low / streams:.2f} to {high / streams:.2f})"


def delay(found: Sequence[Sequence[int]]) -> str:
    """Median and 95th percentile of the rows from a shift to the first ring after it."""
    delays = [min((row - BEFORE for row in rows if row >= BEFORE), default=np.inf) for rows in found]
    median, most = np.quantile(delays, [0.5, 0.95], method="inverted_cdf")
    return f"{median:.0f}, {most:.0f}"


def measure(name: str, calibration: int, asked: argparse.Namespace) -> list[str]:
    """Both ways of watching on one law, and whole looks at it."""
    draw, deviation = LAWS[name]
    rng = np.random.default_rng([asked.seed, calibration, list(LAWS).index(name)])
    still = [rung(draw, calibration, rng, PER) for _ in tqdm(range(asked.streams), desc=name, disable=None)]
    moved = [rung(draw, calibration, rng, BEFORE + AFTER, SHIFT * deviation, BEFORE) for _ in range(asked.shifts)]
    ours = [rate(sum(len(one.p_values) for one in still), len(still)), delay([one.p_values for one in moved])]
    theirs = [rate(sum(len(one.errors) for one in still), len(still)), delay([one.errors for one in moved])]
    return [*ours, rate(sum(one.looks for one in still), len(still)), *theirs]


def table(asked: argparse.Namespace) -> Iterator[str]:
    """Lines of Markdown."""
    yield f"False alarms in {PER:,} stationary rows (95 %), and the delay of a {SHIFT} sd shift in rows (median, 95th)."
    yield ""
    yield "| errors | calibration rows | p-values: false alarms | delay | looks | errors: false alarms | delay |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for calibration in asked.calibration:
        for name in LAWS:
            yield f"| {' | '.join([name, f'{calibration:,}', *measure(name, calibration, asked)])} |"


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
