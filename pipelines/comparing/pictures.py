"""The pictures of a comparison: models side by side on the same test rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lit_ae.metrics.ranking import Floats
from lit_ae.spec import DataSpec
from pipelines.comparing.standings import Comparison, Standing
from pipelines.detection_pictures import bulk
from pipelines.drawing import BLUE, GREY, INK, LEGEND, ORANGE, PALE, PALETTE, name_axes, new_figure, save, short, style
from pipelines.grids import line_rows, model_grid
from pipelines.judging.anomalies import Labels, Said
from pipelines.string_pictures import strings_by_model

FEWEST, LONGEST_NAME = 6, 40


def figure_bars(
    names: Sequence[str],
    title: str,
    better: str,
    standings: Sequence[Standing],
    comparisons: Sequence[Comparison | None],
    path: Path,
    heading: str,
) -> Path:
    """Bars of a figure with intervals and a dot for each seed; beside them the differences from the reference.

    Args:
        names: of the groups.
        title: the figure's, with its unit.
        better: which way is better, in words.
        standings: of the groups.
        comparisons: of the groups, None for the reference.
        path: the PNG file to write.
        heading: what is shown.
    """
    figure = new_figure(10.4, 1.5 + 0.42 * len(names), heading)
    bars, differences = figure.subplots(1, 2, sharey=True)
    for place, (own, compared) in enumerate(zip(standings, comparisons, strict=True)):
        colour = GREY if compared is None else ORANGE if compared.is_real else BLUE
        bars.barh(place, own.mean, color=colour, alpha=0.55, height=0.6)
        _interval(bars, place, own.mean, own.low, own.high)
        bars.plot(own.of_seeds, [place] * len(own.of_seeds), "o", color=INK, markersize=3.5, alpha=0.6)
        if compared is None:
            differences.text(0, place, " reference", va="center", fontsize=8.5, color=GREY)
            continue
        found = compared.difference
        _interval(differences, place, found.difference, found.low, found.high)
        differences.plot(found.difference, place, "o", color=colour, markersize=7)
    differences.axvline(0, color=GREY, linewidth=1, linestyle="--")
    bars.set_yticks(range(len(names)), [_cut(name) for name in names])
    bars.invert_yaxis()
    name_axes(bars, f"{title} ({better}); dots: seeds", "")
    name_axes(differences, "difference from the reference; orange: real", "")
    return save(figure, path)


def _interval(panel: Axes, place: float, middle: float, low: float, high: float) -> None:
    """A whisker from low to high; nothing where there is no interval."""
    if np.isfinite([low, high]).all():
        panel.plot([low, high], [place, place], color=INK, linewidth=1.6)
        panel.plot([low, high], [place, place], "|", color=INK, markersize=8)


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def reconstructions(x: Tensor, of_models: Mapping[str, Tensor], spec: DataSpec, path: Path, heading: str) -> Path:
    """The same test rows by every model: a row of images a model, lines over each other, or strings below each other.

    Args:
        x: test rows in model space ``(N, *spec.shape)``.
        of_models: their reconstructions by each model.
        spec: of the rows.
        path: the PNG file to write.
        heading: what is shown.
    """
    if spec.kind == "sequence":
        few = {_cut(name): rows[:FEWEST] for name, rows in of_models.items()}
        return strings_by_model(x[:FEWEST], few, spec, path, heading)
    named = {"input": x, **{_cut(name): rows for name, rows in of_models.items()}}
    if spec.kind == "image":
        return model_grid(named, path, heading, spec.value_range)
    return line_rows({name: rows[:FEWEST] for name, rows in named.items()}, path, heading)


def score_panels(said: Mapping[str, Said], labels: Labels, path: Path, heading: str) -> Path:
    """A histogram of normal and anomalous rows for each detector, each on its own scale, with its threshold."""
    figure = new_figure(10.4, 0.9 + 1.45 * len(said), heading)
    panels = figure.subplots(len(said), 1, squeeze=False)[:, 0]
    for panel, (name, one) in zip(panels, said.items(), strict=True):
        known = [] if one.threshold is None or not np.isfinite(one.threshold) else [one.threshold]
        low, high = bulk(one.score)
        edges = np.linspace(min(low, *known, high), max(low, *known, high), 61)
        for kind, members, colour in (("normal", ~labels.anomaly, BLUE), ("anomalous", labels.anomaly, ORANGE)):
            _shares(panel, one.score[members], edges, colour, kind)
        for threshold in known:
            panel.axvline(threshold, color=INK, linewidth=1.4, label=f"threshold {short(threshold)}")
        panel.set_title(name, loc="left", fontsize=8.5, color=INK)
        panel.legend(**LEGEND)
        style(panel)
    name_axes(panels[-1], "score, higher is worse; tails stand in the outmost bars", "share of its kind")
    return save(figure, path)


def error_panels(errors: Mapping[str, Floats], unit: str, path: Path, heading: str) -> Path:
    """How the errors of the same test rows are spread, a line a model on one scale; dashed: medians."""
    figure = new_figure(10.4, 3.8, heading)
    panel = figure.subplots()
    low, high = bulk(np.concatenate(list(errors.values())))
    edges = np.linspace(max(low, 0) if low < high / 4 else low, high, 31)
    colours = [PALETTE[place % len(PALETTE)] for place in range(len(errors))]
    for (name, values), colour in zip(errors.items(), colours, strict=True):
        panel.hist(
            values.clip(edges[0], edges[-1]), list(edges), histtype="step", linewidth=1.4, color=colour, label=name
        )
        panel.axvline(float(np.median(values)), color=colour, linewidth=1, linestyle="--")
    panel.axhline(0, color=PALE, linewidth=0.8)
    name_axes(panel, f"{unit} of a test row", "test rows")
    panel.legend(**LEGEND)
    return save(figure, path)


def _shares(panel: Axes, values: Floats, edges: np.ndarray, colour: str, name: str) -> None:
    weights = np.full(len(values), 1 / max(len(values), 1))
    shown = values.clip(edges[0], edges[-1])
    panel.hist(shown, list(edges), weights=weights, color=colour, alpha=0.55, label=f"{name}, {len(values):,} rows")
