"""The figures that models are compared by, each as a function of rows that a bootstrap can draw again."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lit_ae.metrics.ranking import Booleans, Floats, Integers
from lit_ae.metrics.reconstruction import error_name
from lit_ae.paired_bootstrap import Figure
from lit_ae.spec import DataSpec
from pipelines.comparing.judged import Judged
from pipelines.judging.anomalies import Labels

SERIES_BLOCK = 100  # rows of a series that are drawn together


class Measure(NamedTuple):
    """A figure of a model.

    Attributes:
        key: its name in MLflow, without a group.
        title: for people, with the unit.
        higher_is_better: whether it is.
        figure: of truth and values of the same rows.
        truth: of the rows that count ``(N,)``.
        values: what a model says of these rows ``(N,)``.
        blocks: which rows are drawn together ``(N,)``; None for each by itself.
    """

    key: str
    title: str
    higher_is_better: bool
    figure: Figure
    truth: NDArray
    values: Callable[[Judged], NDArray]
    blocks: Integers | None = None


def measures(judged: Sequence[Judged], spec: DataSpec, labels: Labels | None, alike: bool) -> list[Measure]:
    """The figures that all models have; the first is the one that they are ranked by.

    Args:
        judged: what the models do.
        spec: of the test rows, as the first model sees them.
        labels: what is known of the test rows.
        alike: whether all models see the same numbers; their errors can't be compared otherwise.
    """
    found = []
    scored = [one.scored for one in judged if one.scored is not None]
    if labels is not None and labels.has_both and len(scored) == len(judged):
        found += detection_measures(np.logical_and.reduce(scored), labels)
    if alike:
        counted = np.ones(len(judged[0].errors), bool) if labels is None else ~labels.anomaly
        found.append(error_measure(counted, spec, labels))
    return found


def error_measure(counted: Booleans, spec: DataSpec, labels: Labels | None) -> Measure:
    """The mean error of the test rows, or of the normal ones where anomalies are known."""
    key = "wrong_tokens" if spec.kind == "sequence" else "mse"
    title = error_name(spec)
    blocks = None if labels is None else labels.take(counted).stretches(SERIES_BLOCK)
    if labels is not None:
        key, title = f"{key}_of_normal_rows", f"{title} of normal rows"
    return Measure(key, title, False, mean, np.zeros(counted.sum()), lambda one: one.errors[counted], blocks)


def detection_measures(scored: Booleans, labels: Labels) -> list[Measure]:
    """How well anomalies are ranked, and what the detectors' own thresholds do, on the rows that all of them score."""
    known = labels.take(scored)
    truth, blocks = known.anomaly, known.stretches(SERIES_BLOCK)

    def ranks(one: Judged) -> NDArray:
        assert one.said is not None
        return dense_ranks(one.said.score, one.scored, scored)

    def alarms(one: Judged) -> NDArray:
        assert one.said is not None
        assert one.said.alarm is not None
        return one.said.alarm[scored[one.scored]]

    ranked = [("ap", "average precision", average_precision), ("auroc", "AUROC", auroc)]
    decided = [
        ("recall", "recall at the own threshold", True, recall),
        ("false_alarm_rate", "false alarms at the own threshold", False, false_alarm_rate),
    ]
    return [
        *(Measure(key, title, True, figure, truth, ranks, blocks) for key, title, figure in ranked),
        *(Measure(key, title, better, figure, truth, alarms, blocks) for key, title, better, figure in decided),
    ]


def dense_ranks(score: Floats, own: Booleans | None, scored: Booleans) -> Integers:
    """The place of each score among the different ones, from 0, for the rows that all detectors score ``(N,)``."""
    return rankdata(score[scored[own]], method="dense").astype(np.int64) - 1


def mean(truth: NDArray, values: NDArray) -> float:
    """The mean of the rows' values."""
    return float(values.mean())


def recall(anomaly: Booleans, alarm: Booleans) -> float:
    """The share of anomalies with an alarm."""
    return float(alarm[anomaly].mean()) if anomaly.any() else np.nan


def false_alarm_rate(anomaly: Booleans, alarm: Booleans) -> float:
    """The share of normal rows with an alarm."""
    return float(alarm[~anomaly].mean()) if not anomaly.all() else np.nan


def auroc(anomaly: Booleans, rank: Integers) -> float:
    """The area under the ROC curve of scores given by their ranks from 0: sorted once, counted in every draw."""
    found, false = _counts(anomaly, rank)
    if not found.sum() or not false.sum():
        return np.nan
    below = np.cumsum(false) - false / 2
    return float(found @ below / (found.sum() * false.sum()))


def average_precision(anomaly: Booleans, rank: Integers) -> float:
    """The average precision of scores given by their ranks from 0."""
    found, false = (counts[::-1] for counts in _counts(anomaly, rank))
    if not found.sum():
        return np.nan
    alarms = np.cumsum(found + false)
    return float(found @ (np.cumsum(found) / np.maximum(alarms, 1)) / found.sum())


def _counts(anomaly: Booleans, rank: Integers) -> tuple[Floats, Floats]:
    """Anomalous and normal rows at each rank."""
    size = int(rank.max()) + 1
    both = np.bincount(rank, minlength=size)
    found = np.bincount(rank[anomaly], minlength=size)
    return found.astype(float), (both - found).astype(float)
