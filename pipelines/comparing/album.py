"""The pictures of a comparison, in the order of its report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lit_ae.metrics.ranking import Booleans
from pipelines.comparing import pictures
from pipelines.comparing.judged import Entrant, Judged, labels_of, see_alike
from pipelines.comparing.outcome import Outcome
from pipelines.comparing.report import way
from pipelines.detection_pictures import precision_recall_curves, roc_curves
from pipelines.judging.anomalies import Said


def draw(
    found: Outcome, sides: Sequence[Sequence[Entrant]], judged: Sequence[Sequence[Judged]], folder: Path
) -> list[Path]:
    """The pictures, in the order of the report."""
    names = found.names
    drawn = []
    for measure in found.measures:
        better = way(measure)
        title = f"{found.heading}: {measure.title}, {found.level:.0%} intervals"
        path = folder / f"{measure.key}.png"
        own = found.standings[measure.key], found.comparisons[measure.key]
        drawn.append(pictures.figure_bars(names, measure.title, better, *own, path, title))
    drawn += draw_detection(found, sides, judged, folder)
    first, seen = sides[0][0], [side[0] for side in judged]
    if see_alike([side[0] for side in sides]):
        x_hat = {name: one.x_hat for name, one in zip(names, seen, strict=True)}
        title = f"{found.data}: the same test rows by each model"
        path = folder / "reconstructions.png"
        drawn.append(pictures.reconstructions(first.x[: len(seen[0].x_hat)], x_hat, first.model.spec, path, title))
        errors = {name: one.errors for name, one in zip(names, seen, strict=True)}
        title = f"{found.data}: errors of the same test rows"
        drawn.append(pictures.error_panels(errors, "error", folder / "errors.png", title))
    return drawn


def draw_detection(
    found: Outcome, sides: Sequence[Sequence[Entrant]], judged: Sequence[Sequence[Judged]], folder: Path
) -> list[Path]:
    """Curves and score histograms of the detectors, on the rows that all of them score."""
    labels, seen = labels_of(sides[0][0]), [side[0] for side in judged]
    masks = [one.scored for one in seen if one.scored is not None]
    if labels is None or not labels.has_both or len(masks) < len(seen):
        return []
    scored = np.logical_and.reduce(masks)
    said = {name: on_rows(one, scored) for name, one in zip(found.names, seen, strict=True)}
    known, what = labels.take(scored), f"{found.data}, the same test rows"
    return [
        roc_curves(said, known, folder / "roc.png", f"{what}: anomalies found for false alarms"),
        precision_recall_curves(said, known, folder / "precision_recall.png", f"{what}: how many alarms are right"),
        pictures.score_panels(said, known, folder / "scores.png", f"{what}: scores"),
    ]


def on_rows(one: Judged, scored: Booleans) -> Said:
    """What a detector says of some of the rows that it scores."""
    assert one.said is not None
    rows = scored[one.scored]
    alarm = None if one.said.alarm is None else one.said.alarm[rows]
    return Said(one.said.score[rows], alarm, one.said.threshold)
