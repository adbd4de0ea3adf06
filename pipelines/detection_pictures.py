"""The pictures of a detector: what it finds, what it costs in false alarms, and when."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from lit_ae.metrics.events import runs
from lit_ae.metrics.ranking import Booleans, Floats
from pipelines.drawing import (
    BLUE,
    GREY,
    INK,
    LEGEND,
    ORANGE,
    PALE,
    PALETTE,
    RED,
    finite_range,
    name_axes,
    new_figure,
    save,
    short,
)
from pipelines.judging.anomalies import Labels, Said
from pipelines.judging.detection import MODEL, Detection

NOT_DRAWN = ("always_alarm", "time_index")  # curves that say nothing
MOST_POINTS = 1500
MOST_ENTITIES = 5


def draw_detection(detection: Detection, folder: Path, what: str) -> list[Path]:
    """All of them: ROC, precision and recall, scores, time line, confusion matrix."""
    said, labels, own = detection.said, detection.labels, detection.said[MODEL]
    drawn = [
        score_histogram(own, labels, folder / "scores.png", f"{what}: scores of test rows"),
        time_line(own, labels, folder / "time_line.png", f"{what}: test scores and alarms"),
    ]
    if own.alarm is not None:
        title = f"{what}: alarms, {own.alarm[~labels.anomaly].mean():.2%} of normal test rows"
        drawn.append(confusion(own, labels, folder / "confusion.png", title))
    if labels.has_both:
        shown = {name: one for name, one in said.items() if name not in NOT_DRAWN}
        drawn.append(roc_curves(shown, labels, folder / "roc.png", f"{what}: anomalies found for false alarms"))
        title = f"{what}: how many alarms are right"
        drawn.append(precision_recall_curves(shown, labels, folder / "precision_recall.png", title))
    return drawn


def roc_curves(said: Mapping[str, Said], labels: Labels, path: Path, title: str) -> Path:
    """Recall over false alarms, whole and up to 10 %; a ring marks each detector's own threshold."""
    figure = new_figure(10.4, 4.6, title)
    whole, few = figure.subplots(1, 2)
    for (name, one), look in zip(said.items(), _looks(said), strict=True):
        false, recall, _ = roc_curve(labels.anomaly, one.score)
        label = f"{name}, AUROC {auc(false, recall):.3f}"
        for panel in (whole, few):
            panel.plot(false, recall, label=label, **look)
            if one.alarm is not None and one.threshold is not None:
                place = one.alarm[~labels.anomaly].mean(), one.alarm[labels.anomaly].mean()
                panel.plot(*place, marker="o", markersize=7, fillstyle="none", color=look["color"], zorder=4)
    for panel, end in ((whole, 1.0), (few, 0.1)):
        panel.plot([0, 1], [0, 1], color=PALE, linewidth=1, zorder=0)
        panel.set(xlim=(-0.01 * end, end), ylim=(-0.01, 1.01))
        _in_percent(panel, "false alarms among normal rows", "recall of anomalies")
    whole.legend(loc="lower right", **LEGEND)
    few.set_title("up to 10 % false alarms; rings: thresholds set on normal rows", loc="left", fontsize=8.5, color=INK)
    return save(figure, path)


def precision_recall_curves(said: Mapping[str, Said], labels: Labels, path: Path, title: str) -> Path:
    """Precision over recall beside the base rate; a ring marks each detector's own threshold."""
    figure = new_figure(6.4, 4.8, title)
    panel = figure.subplots()
    for (name, one), look in zip(said.items(), _looks(said), strict=True):
        precision, recall, _ = precision_recall_curve(labels.anomaly, one.score)
        label = f"{name}, AP {average_precision_score(labels.anomaly, one.score):.3f}"
        panel.plot(recall, precision, drawstyle="steps-post", label=label, **look)
        if one.alarm is not None and one.threshold is not None and one.alarm.any():
            place = one.alarm[labels.anomaly].mean(), labels.anomaly[one.alarm].mean()
            panel.plot(*place, marker="o", markersize=7, fillstyle="none", color=look["color"], zorder=4)
    rate = float(labels.anomaly.mean())
    panel.axhline(rate, color=GREY, linewidth=1, linestyle="--", label=f"base rate {rate:.3f}")
    panel.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    _in_percent(panel, "recall of anomalies", "precision of alarms")
    panel.legend(loc="lower left", **LEGEND)
    return save(figure, path)


def score_histogram(said: Said, labels: Labels, path: Path, title: str) -> Path:
    """How the scores of normal and anomalous rows are spread, with the threshold; tails stand in the outmost bars."""
    figure = new_figure(7.2, 3.8, title)
    panel = figure.subplots()
    low, high = bulk(said.score)
    if said.threshold is not None and np.isfinite(said.threshold):
        low, high = min(low, said.threshold), max(high, said.threshold)
    is_log = 0 < low < high / 30
    edges = np.geomspace(low, high, 61) if is_log else np.linspace(low, high, 61)
    for name, members, colour in (("normal", ~labels.anomaly, BLUE), ("anomalous", labels.anomaly, RED)):
        shown = said.score[members].clip(edges[0], edges[-1])
        weights = np.full(len(shown), 1 / max(len(shown), 1))
        panel.hist(shown, list(edges), weights=weights, color=colour, alpha=0.55, label=f"{name}, {len(shown):,} rows")
    if is_log:
        panel.set_xscale("log")
    if said.threshold is not None and np.isfinite(said.threshold):
        panel.axvline(said.threshold, color=INK, linewidth=1.4, label=f"threshold {short(said.threshold)}")
    panel.set_xlim(edges[0], edges[-1])
    name_axes(panel, "score, higher is worse", "share of the rows of its kind")
    panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    panel.legend(**LEGEND)
    return save(figure, path)


def time_line(said: Said, labels: Labels, path: Path, title: str) -> Path:
    """Scores row by row with the threshold, true anomalies shaded, and a tick under each alarm; a panel an entity."""
    entity = np.zeros(len(labels.anomaly), int) if labels.entity is None else labels.entity
    panels_of = _most_telling(entity, labels.anomaly)
    figure = new_figure(10.4, 1.5 + 1.5 * len(panels_of), title)
    panels = figure.subplots(len(panels_of), 1, squeeze=False)[:, 0]
    for panel, number in zip(panels, panels_of, strict=True):
        mine = entity == number
        _line(panel, said.score[mine], labels.anomaly[mine], None if said.alarm is None else said.alarm[mine])
        if said.threshold is not None and np.isfinite(said.threshold):
            panel.axhline(said.threshold, color=INK, linewidth=1, linestyle="--", label="threshold")
        if labels.entity is not None:
            panel.set_title(f"entity {number}", loc="left", fontsize=8.5, color=INK)
        name_axes(panel, "", "score")
    panels[-1].set_xlabel("row" if labels.entity is not None else "test row, as stored", fontsize=9, color=INK)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, **LEGEND)
    return save(figure, path)


def confusion(said: Said, labels: Labels, path: Path, title: str) -> Path:
    """Rows with and without an alarm: normal ones, anomalous ones, and below each family of anomalies."""
    assert said.alarm is not None
    kinds: list[tuple[str, Booleans]] = [("normal", ~labels.anomaly), ("anomalous", labels.anomaly)]
    if labels.family is not None:
        members = [(name, labels.anomaly & (labels.family == i)) for i, name in enumerate(labels.families)]
        kinds += [(f"  {name}", rows) for name, rows in members if rows.any()]
    counts = np.array([[(rows & ~said.alarm).sum(), (rows & said.alarm).sum()] for _, rows in kinds])
    share = counts / counts.sum(axis=1, keepdims=True).clip(1)
    figure = new_figure(5.6, 1.6 + 0.46 * len(kinds), title)
    panel = figure.subplots()
    panel.imshow(share, cmap=LinearSegmentedColormap.from_list("", ["white", BLUE]), vmin=0, vmax=1.25, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        text = f"{count:,}  ({share[row, column]:.1%})"
        panel.text(column, row, text, ha="center", va="center", fontsize=9.5, color=INK)
    panel.set_xticks([0, 1], ["no alarm", "alarm"])
    panel.set_yticks(range(len(kinds)), [name for name, _ in kinds])
    panel.xaxis.tick_top()
    panel.tick_params(length=0, labelsize=9, labelcolor=INK)
    panel.spines[:].set_visible(False)
    if len(kinds) > 2:
        panel.axhline(1.5, color=GREY, linewidth=1)
    return save(figure, path)


def _looks(said: Mapping[str, Said]) -> list[dict[str, Any]]:
    """The first detector stands out; the others have thin lines in the palette's further colours."""
    others = [PALETTE[1:][i % (len(PALETTE) - 1)] for i in range(len(said) - 1)]
    thin = [{"color": colour, "linewidth": 1.1, "zorder": 2, "alpha": 0.9} for colour in others]
    return [{"color": BLUE, "linewidth": 2.4, "zorder": 3}, *thin]


def _in_percent(panel: Axes, across: str, up: str) -> None:
    name_axes(panel, across, up)
    panel.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def bulk(score: Floats) -> tuple[float, float]:
    """The range that holds all scores but the outmost 0.5 % at either end."""
    low, high = np.quantile(score, [0.005, 0.995])
    return (float(low), float(high)) if high > low else (finite_range(score)[0] - 0.5, finite_range(score)[1] + 0.5)


def _most_telling(entity: np.ndarray, anomaly: Booleans) -> Sequence[int]:
    """The first entities that hold anomalous and normal rows, or any where none does."""
    numbers = list(dict.fromkeys(entity.tolist()))
    both = [n for n in numbers if 0 < anomaly[entity == n].mean() < 1]
    return (both or numbers)[:MOST_ENTITIES]


def _line(panel: Axes, score: Floats, anomaly: Booleans, alarm: Booleans | None) -> None:
    """One entity's scores, the highest of each few rows where there are too many to draw."""
    step = -(-len(score) // MOST_POINTS)
    starts = np.arange(0, len(score), step)
    low, high = bulk(score)
    drawn = np.maximum.reduceat(score, starts).clip(None, high + 0.25 * (high - low))
    panel.plot(
        starts,
        drawn,
        color=BLUE,
        linewidth=0.9,
        label="score, its top cut off" if drawn.max() < score.max() else "score",
    )
    for number, (start, stop) in enumerate(runs(np.logical_or.reduceat(anomaly, starts))):
        label = "true anomaly" if number == 0 else None
        panel.axvspan(
            start * step - 0.5, min(stop * step, len(score)) - 0.5, color=RED, alpha=0.18, linewidth=0, label=label
        )
    if alarm is not None and alarm.any():
        raised = starts[np.logical_or.reduceat(alarm, starts)]
        floor = np.full(len(raised), 0.03)
        panel.plot(raised, floor, "|", transform=panel.get_xaxis_transform(), color=ORANGE, markersize=7, label="alarm")
    panel.set_xlim(-0.5, len(score) - 0.5)
