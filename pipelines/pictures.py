"""The pictures a run leaves: one function a picture, from arrays or tensors to one PNG file.

Samples are images ``(N, C, H, W)`` (grey for one channel, colour for three) or, drawn as lines, rows ``(N, D)`` and
sequences ``(N, T, D)``. Values that are not finite show as red pixels or gaps, never as an error. Figures are built by
matplotlib's object interface alone, so several threads may draw at once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from pipelines.drawing import (
    BLUE,
    GREY,
    INK,
    LEGEND,
    ORANGE,
    PALE,
    PALETTE,
    RED,
    Array,
    finite_range,
    name_axes,
    new_figure,
    save,
    short,
    to_numpy,
)
from pipelines.grids import (
    MOST_TRAVERSALS,
    interpolation_grid,
    reconstruction_grid,
    sample_grid,
    traversal_grid,
    unit_grid,
)
from pipelines.projection import SPREAD, Projection, project

__all__ = [
    "MOST_TRAVERSALS",
    "ORANGE",
    "RED",
    "Array",
    "Projection",
    "error_histogram",
    "interpolation_grid",
    "kl_per_dimension",
    "latent_map",
    "learning_curves",
    "project",
    "reconstruction_grid",
    "sample_grid",
    "traversal_grid",
    "unit_grid",
]


def latent_map(
    points: Array,
    labels: Array | Sequence[object] | None,
    class_names: Sequence[str] | None,
    path: str | Path,
    title: str,
    axes: tuple[str, str],
) -> Path:
    """Codes in the plane ``(N, 2)``, coloured by label where there is one; ``axes`` says what each axis is."""
    points = to_numpy(points)
    classes = [] if labels is None else _classes(labels, class_names)
    figure, panel = _panel(5.2 + _legend_width(classes), 5.2, title)
    size = float(np.clip(9000 / max(len(points), 1), 5, 40))
    colours = np.full((len(points), 3), mpl.colors.to_rgb(BLUE))
    for (_, members), colour in zip(classes, _distinct_colours(len(classes)), strict=True):
        colours[members] = colour
    panel.scatter(points[:, 0], points[:, 1], c=colours, s=size, alpha=0.75, linewidths=0)
    name_axes(panel, *axes)
    if axes[1] == SPREAD:
        panel.set_yticks([])
    else:
        panel.set_aspect("equal", adjustable="datalim")
    if classes:
        _name_classes(panel, points, classes)
    return save(figure, path)


def error_histogram(
    errors: Array,
    path: str | Path,
    title: str,
    unit: str,
    baseline: Array | None = None,
    labels: Array | Sequence[object] | None = None,
    class_names: Sequence[str] | None = None,
    baseline_name: str = "PCA",
) -> Path:
    """How errors ``(N,)`` are spread, in ``unit``; a baseline's as an outline, and below a box for each label.

    Boxes span the quartiles, whiskers the 5th to the 95th percentile. A tail that would hide the rest is cut off at the
    99.5th percentile, and how many errors it holds is said.
    """
    values = {"this model": to_numpy(errors)} | ({} if baseline is None else {baseline_name: to_numpy(baseline)})
    classes = [] if labels is None else _classes(labels, class_names)
    figure = new_figure(6.4, 3.6 + 0.24 * len(classes) + 0.4 * bool(classes), title)
    heights = [3, 0.24 * len(classes) + 0.2] if classes else [3]
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    edges, beyond = _bins(np.concatenate(list(values.values())))
    for (name, spread), filled in zip(values.items(), (True, False), strict=False):
        _bars(panels[0], spread, edges, name, filled)
    name_axes(panels[0], "", "samples")
    panels[0].set(xlim=(edges[0], edges[-1]), ylim=(0, None))
    panels[0].legend(**LEGEND)
    if classes:
        _boxes(panels[1], values["this model"], classes)
    cut = f"; {beyond} beyond {short(edges[-1])} not shown" if beyond else ""
    name_axes(panels[-1], f"error ({unit}){cut}", "" if classes else "samples")
    return save(figure, path)


def learning_curves(
    history: Mapping[str, Sequence[tuple[float, float]]],
    path: str | Path,
    title: str,
    monitor: str = "val/loss",
    units: Mapping[str, str] | None = None,
) -> Path:
    """Each term over the epochs, a panel a term, training and validation in it.

    Args:
        history: ``{"train/kl": [(epoch, value), ...], "val/kl": ...}``, each value in the term's own unit.
        path: the PNG file to write.
        title: what is shown, of which data and model.
        monitor: the key whose lowest value marks the best epoch; where it is missing nothing is marked.
        units: the unit of a term, by its name.
    """
    terms = list(dict.fromkeys(_term(key) for key in history))
    columns = min(len(terms), 4 if len(terms) > 6 else 3) or 1
    rows = -(-len(terms) // columns) or 1
    figure = new_figure(max(3.1 * columns, 4.8), 2.5 * rows + 0.5, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    best = _lowest(history.get(monitor, []))
    for panel, term in zip(panels, terms, strict=False):
        _curves(panel, {key: curve for key, curve in history.items() if _term(key) == term}, best)
        panel.set_title(term.replace("_", " "), loc="left", fontsize=9, color=INK)
        name_axes(panel, "epoch", (units or {}).get(term, ""))
    for panel in panels[len(terms) :]:
        panel.set_axis_off()
    known = {handle.get_label(): handle for panel in panels for handle in panel.get_legend_handles_labels()[0]}
    if known:
        figure.legend(handles=list(known.values()), loc="outside lower left", ncols=4, **LEGEND)
    return save(figure, path)


def kl_per_dimension(kl: Array, path: str | Path, title: str, threshold: float = 0.01) -> Path:
    """The KL ``(latent_dim,)`` of each latent dimension in nats, largest first; active ones exceed ``threshold``."""
    given = to_numpy(kl).ravel()
    nats = np.where(np.isfinite(given), given, 0)
    lost = f", {(~np.isfinite(given)).sum()} not finite" if not np.isfinite(given).all() else ""
    order = np.argsort(-nats, kind="stable")
    active = nats[order] > threshold
    figure, panel = _panel(float(np.clip(0.15 * len(nats) + 1.5, 4.8, 11)), 3.6, title)
    few = len(nats) <= 64
    colours = np.where(active, BLUE, PALE)
    panel.bar(
        np.arange(len(nats)), nats[order], color=colours, edgecolor=colours, linewidth=0.5, width=0.8 if few else 1
    )
    panel.axhline(threshold, color=GREY, linewidth=0.8, linestyle="--")
    panel.set(xlim=(-0.7, max(len(nats), 8) - 0.3), ylim=(0, None))
    name_axes(panel, "latent dimension, largest KL first", "KL to the prior (nats)")
    panel.set_xticks(np.arange(len(nats)) if few else [], [str(dimension) for dimension in order] if few else [])
    if len(nats) > 24:
        panel.tick_params(axis="x", labelsize=7, rotation=90)
    marks = [
        Patch(color=BLUE, label=f"{active.sum()} active, KL > {threshold:g} nats"),
        Patch(color=PALE, label=f"{(~active).sum()} inactive"),
    ]
    panel.legend(handles=marks, title=f"{nats.sum():.2f} nats in all{lost}", alignment="left", **LEGEND)
    return save(figure, path)


def _panel(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = new_figure(width, height, title)
    return figure, figure.subplots()


def _classes(
    labels: Array | Sequence[object], class_names: Sequence[str] | None, most: int = 40
) -> list[tuple[str, np.ndarray]]:
    """Each class's name and members ``(N,)``; none where there are more than can be told apart."""
    each = labels.cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    values = np.unique(each)
    names = dict(enumerate(class_names or ()))
    return [(str(names.get(value, value)), each == value) for value in values] if len(values) <= most else []


def _distinct_colours(count: int) -> np.ndarray:
    if count <= len(PALETTE):
        return np.array([mpl.colors.to_rgb(colour) for colour in PALETTE[:count]])
    return mpl.colormaps["turbo"](np.linspace(0.03, 0.97, count))[:, :3]


def _legend_width(classes: Sequence[tuple[str, np.ndarray]]) -> float:
    longest = max((len(name) for name, _ in classes), default=0)
    return -(-len(classes) // 20) * (0.3 + 0.085 * longest)


def _name_classes(panel: Axes, points: np.ndarray, classes: Sequence[tuple[str, np.ndarray]]) -> None:
    """A legend beside the panel and, where they keep apart, each name at the middle of its class."""
    colours = _distinct_colours(len(classes))
    marks = [
        Line2D([], [], linestyle="", marker="o", markersize=6, color=colour, label=name)
        for (name, _), colour in zip(classes, colours, strict=True)
    ]
    panel.legend(
        handles=marks,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        ncols=-(-len(classes) // 20),
        handletextpad=0.2,
        **LEGEND,
    )
    if len(classes) > 20 or len(points) < 5 * len(classes):
        return
    middles = np.array([np.median(points[members], axis=0) for _, members in classes])
    apart = np.abs(middles[:, None] - middles) / (np.ptp(points, axis=0).max() or 1)
    longest = max(len(name) for name, _ in classes)
    touching = (apart < (0.022 * (longest + 1), 0.045)).all(axis=-1)
    if touching.sum() > len(classes):
        return
    for (name, _), middle in zip(classes, middles, strict=True):
        text = panel.text(
            middle[0], middle[1], name, ha="center", va="center", fontsize=9, fontweight="bold", color=INK
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _bins(errors: np.ndarray) -> tuple[np.ndarray, int]:
    """Edges of the bars, and how many errors lie beyond the last."""
    finite = errors[np.isfinite(errors)]
    low, high = finite_range(finite)
    if len(finite):
        middle, tail = np.percentile(finite, [50, 99.5])
        high = float(tail) if high - middle > 3 * (tail - middle) > 0 else high
    low = 0.0 if 0 < low < high / 4 else low
    margin = 0 if high > low else max(abs(low) * 0.05, 1e-6)
    return np.linspace(low - margin, high + margin, 42), int((finite > high).sum())


def _bars(panel: Axes, values: np.ndarray, edges: np.ndarray, name: str, filled: bool) -> None:
    """One histogram with its median: filled, or an outline."""
    finite = values[np.isfinite(values)]
    colour = BLUE if filled else INK
    look: dict[str, Any] = {"alpha": 0.6} if filled else {"histtype": "step", "linewidth": 1.3}
    median = short(float(np.median(finite))) if len(finite) else "none"
    lost = f", {len(values) - len(finite)} not finite" if len(finite) < len(values) else ""
    panel.hist(finite, list(edges), color=colour, label=f"{name}, median {median}{lost}", **look)
    if len(finite):
        panel.axvline(float(np.median(finite)), color=colour, linewidth=1, linestyle="--")


def _boxes(panel: Axes, errors: np.ndarray, classes: Sequence[tuple[str, np.ndarray]]) -> None:
    spread = [errors[members & np.isfinite(errors)] for _, members in classes]
    panel.boxplot(
        spread,
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        tick_labels=[name for name, _ in classes],
        boxprops={"facecolor": BLUE, "alpha": 0.6, "linewidth": 0},
        medianprops={"color": INK},
        whiskerprops={"color": GREY},
        capprops={"color": GREY},
    )
    panel.invert_yaxis()


def _term(key: str) -> str:
    return key.partition("/")[2] or key


def _lowest(curve: Sequence[tuple[float, float]]) -> float | None:
    finite = [(value, epoch) for epoch, value in curve if np.isfinite(value)]
    return min(finite)[1] if finite else None


def _curves(panel: Axes, curves: Mapping[str, Sequence[tuple[float, float]]], best: float | None) -> None:
    looks = {"train": GREY, "val": BLUE}
    values = np.array([])
    for key, curve in curves.items():
        stage = key.partition("/")[0]
        epochs = sorted(dict(curve).items())
        drawn = np.array(epochs, dtype=float).reshape(-1, 2)
        few = "o" if len(drawn) <= 20 else None
        name = {"train": "training", "val": "validation"}.get(stage, stage)
        panel.plot(*drawn.T, color=looks.get(stage, INK), linewidth=1.4, marker=few, markersize=3, label=name)
        values = np.append(values, drawn[:, 1])
    low, high = finite_range(values)
    if low > 0 and high > 30 * low:
        panel.set_yscale("log")
    if best is not None:
        panel.axvline(best, color=ORANGE, linewidth=1, linestyle="--", label=f"best epoch, {best:g}")
    left, right = panel.get_xlim()
    panel.set_xlim(min(left, (left + right - 1) / 2), max(right, (left + right + 1) / 2))
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
