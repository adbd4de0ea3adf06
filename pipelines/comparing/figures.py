"""The figures that models are compared by, each as a function of rows that a bootstrap can draw again."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lit_ae.metrics.ranked import auroc, average_precision, dense_ranks
from lit_ae.metrics.ranking import Booleans, Integers
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
        return dense_ranks(one.said.score[scored[one.scored]])

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


def mean(truth: NDArray, values: NDArray) -> float:
    """The mean of the rows' values."""
    return float(values.mean())


def recall(anomaly: Booleans, alarm: Booleans) -> float:
    """The share of anomalies with an alarm."""
    return float(alarm[anomaly].mean()) if anomaly.any() else np.nan


def false_alarm_rate(anomaly: Booleans, alarm: Booleans) -> float:
    """The share of normal rows with an alarm."""
    return float(alarm[~anomaly].mean()) if not anomaly.all() else np.nan
