"""Anomalies that last: events in a series, whether and how soon they are noticed, and how often there is an alarm.

Rows come in the order of time, those of one entity (a machine, a file) next to each other.
"""

import numpy as np

from lit_ae.metrics.ranking import Booleans, Floats, Integers


def runs(mask: Booleans, entity: Integers | None = None) -> Integers:
    """Where rows that are true stand next to each other in one entity: first row, and row after the last ``(K, 2)``."""
    new = np.ones(len(mask) + 1, bool)
    new[1:-1] = False if entity is None else np.diff(entity) != 0
    before, after = np.append(False, mask), np.append(mask, False)
    starts = np.flatnonzero((after & (new | ~before))[:-1])
    stops = np.flatnonzero((before & (new | ~after))[1:]) + 1
    return np.stack([starts, stops], axis=1)


def event_figures(
    alarm: Booleans, anomaly: Booleans, entity: Integers | None = None, rows_per_day: float | None = None
) -> dict[str, float]:
    """Event recall, delay, and alarms a day (or in 1,000 rows, where time is not known).

    An event is noticed if there is an alarm on one of its rows; its delay counts rows from its first to the first with
    an alarm, over noticed events alone. Alarms on rows that follow each other count as one; it is false if no row of it
    is anomalous.

    Args:
        alarm: the verdicts ``(N,)``.
        anomaly: what the rows are ``(N,)``.
        entity: whose rows they are ``(N,)``; all of one by default.
        rows_per_day: how many rows a day has.
    """
    events, raised = runs(anomaly, entity), runs(alarm, entity)
    figures = {"events": float(len(events))}
    if len(events):
        alarms = np.append(np.flatnonzero(alarm), len(alarm))
        first = alarms[np.searchsorted(alarms, events[:, 0])]
        noticed = first < events[:, 1]
        figures["event_recall"] = float(noticed.mean())
        if noticed.any():
            delay = (first - events[:, 0])[noticed]
            figures["detection_delay"] = float(delay.mean())
            figures["detection_delay_median"] = float(np.median(delay))
    touched = np.append(0, np.cumsum(anomaly))
    false = touched[raised[:, 1]] == touched[raised[:, 0]]
    unit, rows = ("day", rows_per_day) if rows_per_day else ("1000_rows", 1000.0)
    figures[f"alarms_per_{unit}"] = len(raised) * rows / len(alarm)
    figures[f"false_alarms_per_{unit}"] = float(false.sum()) * rows / max(int((~anomaly).sum()), 1)
    return figures


def point_adjusted(score: Floats, anomaly: Booleans, entity: Integers | None = None) -> Floats:
    """Scores in which each event has its highest on all of its rows (Xu et al. 2018, arXiv 1802.03903).

    Figures of them flatter: one lucky row makes a whole event found, which random scores do as well (Kim et al. 2022,
    arXiv 2109.05257). They are for comparison with published ones, beside a random scorer's.
    """
    adjusted = score.copy()
    for start, stop in runs(anomaly, entity):
        adjusted[start:stop] = score[start:stop].max()
    return adjusted


def volume_under_precision_recall(
    score: Floats, anomaly: Booleans, entity: Integers | None = None, longest_buffer: int = 100
) -> float:
    """VUS-PR (Paparrizos et al. 2022, "Volume under the surface"): 0 to 1, forgiving near an event's edges.

    The mean, over buffers of 0 to ``longest_buffer`` rows, of the area under precision and recall for labels that fade
    out around each event (the root of 1 - distance / buffer up to half a buffer away, the nearer of two
    events counts), with the recall times the share of faded events that have an alarm. Areas are summed by steps, as
    average precision is: the paper's trapezoids would give (1 + base rate) / 2 to a constant score. All scores are
    thresholds. A buffer of 0 with one event gives the average precision.

    Args:
        score: higher is worse ``(N,)``.
        anomaly: what the rows are ``(N,)``; one at least must be anomalous.
        entity: whose rows they are ``(N,)``; labels don't fade from one into the next.
        longest_buffer: rows, such as the length of a window or a period.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    distance = _distance_to(anomaly, entity)
    areas = []
    for buffer in range(longest_buffer + 1):
        faded = np.where(distance <= buffer / 2, np.sqrt(np.clip(1 - distance / max(buffer, 1), 0, 1)), 0.0)
        highest = np.sort([score[start:stop].max() for start, stop in runs(faded > 0, entity)])
        positives = (anomaly.sum() + faded.sum()) / 2
        found = np.cumsum(faded[order])[ends]
        noticed = 1 - np.searchsorted(highest, score[order][ends]) / len(highest)
        recall = np.minimum(found / positives, 1) * noticed
        areas.append(np.diff(recall, prepend=0.0) @ (found / (ends + 1)))
    return float(np.mean(areas))


def _distance_to(anomaly: Booleans, entity: Integers | None) -> Floats:
    """Rows to the nearest anomalous one of the same entity; infinite where there is none."""
    distance = np.full(len(anomaly), np.inf)
    cuts: list[int] = [] if entity is None else (np.flatnonzero(np.diff(entity)) + 1).tolist()
    for rows in np.split(np.arange(len(anomaly)), cuts):
        events = rows[anomaly[rows]]
        if len(events):
            after = np.searchsorted(events, rows).clip(0, len(events) - 1)
            before = (np.searchsorted(events, rows, side="right") - 1).clip(0)
            distance[rows] = np.minimum(abs(events[after] - rows), abs(rows - events[before]))
    return distance
