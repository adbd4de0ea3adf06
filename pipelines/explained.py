"""Why the test rows with the highest scores alarm: a page for every kind of data, and heat maps for images."""

from pathlib import Path

import torch
from torch import Tensor

from lit_ae.detection.detector import Detector, Judgement
from lit_ae.detection.explanation import Explanations
from pipelines.grids import explanation_grid
from pipelines.tracking import Tracker

LOOKED_AT, EXPLAINED = 2000, 12  # test rows that may be explained, and those that are


def explain_alarms(detector: Detector, x: Tensor, tracker: Tracker, what: str) -> list[Path]:
    """Writes ``alarms.md`` into the run, and returns the picture of images; nothing where no row alarms.

    Args:
        detector: of the model.
        x: test rows in model space ``(N, *spec.shape)``.
        tracker: of the run.
        what: model and data.
    """
    judged = detector.judge(x[:LOOKED_AT])
    alarms = judged.score.where(judged.is_anomaly, -torch.inf).argsort(descending=True)
    found = detector.explain(x, alarms[: min(EXPLAINED, int(judged.is_anomaly.sum()))])
    if not len(found.rows):
        return []
    title = f"{what}: the highest scores that alarm, among the first {len(judged.score):,} test rows"
    (tracker.directory / "alarms.md").write_text(page(found, judged, title))
    tracker.log_file(tracker.directory / "alarms.md")
    if found.spec.kind != "image":
        return []
    path = tracker.directory / "pictures" / "alarms.png"
    return [explanation_grid(found.raw, found.expected, found.heat, found.nearest_raw[:, 0], path, title)]


def page(found: Explanations, judged: Judgement, title: str) -> str:
    """A table with a line a row: its score and p-value, the reasons, and what the nearest normal row has there."""
    lines = [
        f"# {title}",
        "",
        "| test row | score | p-value | reasons | the nearest normal row has |",
        "| --- " * 5 + "|",
    ]
    for row, reasons, nearest in zip(found.rows.tolist(), found.reasons(), found.neighbours(), strict=True):
        score, p_value = float(judged.score[row]), float(judged.p_value[row])
        lines.append(f"| {row} | {score:.4g} | {p_value:.2g} | {reasons} | {nearest} |".replace("\n", " "))
    return "\n".join([*lines, ""])
