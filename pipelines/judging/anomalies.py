"""What labels and a detector say of the same rows, and every figure that follows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from data.base import Rows
from lit_ae.metrics.alarms import alarm_figures, family_figures
from lit_ae.metrics.events import event_figures, point_adjusted, volume_under_precision_recall
from lit_ae.metrics.ranked import average_precision_interval
from lit_ae.metrics.ranking import Booleans, Floats, Integers, best_f1, ranking_figures
from pipelines.options import Evaluation

DAY = 86_400.0  # s
A_DATE = 1e8  # s since 1970; lower times are row numbers


@dataclass(frozen=True)
class Labels:
    """What is known of rows that detectors are judged on.

    Attributes:
        anomaly: which rows are anomalous ``(N,)``.
        family: kind of each anomaly, index into ``families`` ``(N,)``; None where they are not told apart.
        families: the kinds' names.
        entity: whose rows they are ``(N,)``, in the order of time; None where the rows have no time.
        rows_per_day: of one entity; None where time is not known.
    """

    anomaly: Booleans
    family: Integers | None = None
    families: Sequence[str] = ()
    entity: Integers | None = None
    rows_per_day: float | None = None

    @classmethod
    def of(cls, rows: Rows, families: Sequence[str]) -> "Labels | None":
        """The labels of a role's rows; None where there are none."""
        if rows.anomaly is None:
            return None
        time = _plain(rows.time)
        entity = None if time is None else _plain(rows.entity)
        return cls(rows.anomaly.numpy(), _plain(rows.family), families, entity, _rows_per_day(time, entity))

    def take(self, rows: Booleans) -> "Labels":
        """Some of the rows, by a mask ``(N,)``."""
        family = None if self.family is None else self.family[rows]
        entity = None if self.entity is None else self.entity[rows]
        return replace(self, anomaly=self.anomaly[rows], family=family, entity=entity)

    @property
    def has_both(self) -> bool:
        """Whether there are anomalous and normal rows."""
        return bool(self.anomaly.any() and not self.anomaly.all())

    def stretches(self, length: int) -> Integers | None:
        """A number for each stretch of so many rows of one entity ``(N,)``; None where the rows are no series."""
        if self.entity is None:
            return None
        starts = np.flatnonzero(np.append(True, np.diff(self.entity) != 0))
        position = np.arange(len(self.entity)) - np.repeat(starts, np.diff(np.append(starts, len(self.entity))))
        new = np.append(True, np.diff(self.entity) != 0) | (position % length == 0)
        return np.cumsum(new) - 1


@dataclass(frozen=True)
class Said:
    """What a detector says of the same rows.

    Attributes:
        score: higher is worse ``(N,)``.
        alarm: its verdicts ``(N,)``, by a threshold that saw normal rows alone; None where it has none.
        threshold: scores above it are alarms; None where there is no such thing.
    """

    score: Floats
    alarm: Booleans | None = None
    threshold: float | None = None


def detection_figures(said: Said, labels: Labels, asked: Evaluation) -> dict[str, float]:
    """Every figure that makes sense for these labels, by name; see the protocol for what each is.

    Names that begin with ``oracle_`` are of thresholds, or of scores, that have seen the labels.
    """
    figures = {"base_rate": float(labels.anomaly.mean())}
    if labels.has_both:
        figures |= ranking_figures(said.score, labels.anomaly, asked.false_alarm_rates)
        figures["oracle_best_f1"] = best_f1(said.score, labels.anomaly)
        if asked.bootstrap:
            drawn_together = labels.stretches(asked.longest_buffer)
            interval = average_precision_interval(said.score, labels.anomaly, drawn_together, asked.bootstrap)
            figures["ap_low"], figures["ap_high"] = interval
    if said.alarm is not None:
        figures |= alarm_figures(said.alarm, labels.anomaly)
    if labels.family is not None:
        found = family_figures(said.score, said.alarm, labels.anomaly, labels.family, labels.families)
        found = found if len(found) > 1 else {}
        figures |= {f"family/{named(name)}/{key}": value for name, own in found.items() for key, value in own.items()}
    return figures | _series_figures(said, labels, asked)


def _series_figures(said: Said, labels: Labels, asked: Evaluation) -> dict[str, float]:
    if labels.entity is None:
        return {}
    figures = _mean_over_entities(said.score, labels.anomaly, labels.entity)
    if labels.has_both:
        adjusted = point_adjusted(said.score, labels.anomaly, labels.entity)
        figures["oracle_point_adjusted_f1"] = best_f1(adjusted, labels.anomaly)
        figures["vus_pr"] = volume_under_precision_recall(
            said.score, labels.anomaly, labels.entity, asked.longest_buffer
        )
    if said.alarm is not None:
        figures |= event_figures(said.alarm, labels.anomaly, labels.entity, labels.rows_per_day)
    return figures


def _mean_over_entities(score: Floats, anomaly: Booleans, entity: Integers) -> dict[str, float]:
    """AUROC and AP of each entity by itself, and their means over those that have both kinds of rows."""
    own = [(score[entity == one], anomaly[entity == one]) for one in np.unique(entity)]
    found = [ranking_figures(*rows) for rows in own if 0 < rows[1].mean() < 1]
    if len(own) < 2 or not found:
        return {}
    return {f"{name}_by_entity": float(np.mean([one[name] for one in found])) for name in ("auroc", "ap")}


def protocol_of(labels: Labels, asked: Evaluation) -> dict[str, str]:
    """A sentence for each figure of detection that needs one."""
    alike = "" if labels.entity is None else f", stretches of {asked.longest_buffer} rows drawn together"
    as_if = "" if labels.entity is None else "; rows of a series resemble each other, so that it is too narrow"
    said = {
        "base_rate": f"share of anomalies among {len(labels.anomaly):,} test rows that are scored; higher scores are "
        "worse, and an always-alarm has it as its precision",
        "ap": f"average precision; ap_low and ap_high: 95 % bootstrap of {asked.bootstrap} draws{alike}",
        "recall_at_false_alarms": "highest recall of any threshold within that share of false alarms on the test rows",
        "false_alarm_rate": "share of normal test rows with an alarm, at a threshold set beforehand; precision, "
        f"recall and f1 of the same alarms; low and high: its 95 % Clopper-Pearson interval{as_if}",
        "oracle": "figures named oracle_ use thresholds chosen on the test labels: never an objective, and to be read "
        "beside a random scorer's",
    }
    if labels.entity is not None:
        unit = "day" if labels.rows_per_day else "1,000 rows"
        said["by_entity"] = "mean of the figures of each entity by itself, over those that have both kinds of rows"
        said["vus_pr"] = f"volume under precision and recall, buffers of 0 to {asked.longest_buffer} rows"
        said["event_recall"] = "share of anomalous stretches with an alarm on one of their rows or more"
        said["detection_delay"] = "rows from an event's first to its first alarm, mean over noticed events"
        said["alarms"] = (
            f"alarms on successive rows count as one, in a {unit} of one entity; false: no row is anomalous"
        )
    return said


def named(family: str) -> str:
    """A family's name as part of a metric's key."""
    return re.sub(r"[^\w. -]", "_", family)


def _plain(values: Tensor | None) -> np.ndarray | None:
    return None if values is None else values.numpy()


def _rows_per_day(time: Floats | None, entity: Integers | None) -> float | None:
    if time is None or entity is None or time.min() < A_DATE:
        return None
    steps = np.diff(time)[np.diff(entity) == 0]
    return DAY / float(np.median(steps)) if len(steps) and np.median(steps) > 0 else None
