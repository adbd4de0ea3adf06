"""The pictures of the report, as SVG that stands in the page itself."""

import io
import re
from zlib import crc32

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from lit_ae.monitoring.features import Feature
from lit_ae.monitoring.scores import TAIL
from lit_ae.monitoring.tally import CELLS, Stretch
from lit_ae.monitoring.watch import Findings, Look
from lit_ae.proportions import clopper_pearson
from pipelines.drawing import BLUE, GREY, LEGEND, ORANGE, PALE, RED, name_axes, new_figure
from pipelines.monitoring.report import Report

BARS = 12  # of a feature's picture
RANK_BARS = 20
LABEL = 14  # characters of a category under a bar
LEAST_STRETCH = 20  # scored rows of a stretch of which a rate is drawn
MOST_MARKS = 8  # changes that are marked


def svg(figure: Figure) -> str:
    """The picture as an element of a page; its identifiers are its own, so that several can stand in one page."""
    told = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lit-ae"}):
        figure.savefig(told, format="svg", metadata={"Date": None, "Creator": None})
    drawn = told.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    mark = f"p{crc32(drawn.encode()):08x}"
    drawn = re.sub(r'id="([^"]+)"', rf'id="{mark}-\1"', drawn)
    return re.sub(r'(href="#|url\(#)([^")]+)', rf"\1{mark}-\2", drawn)


def timeline(report: Report) -> str:
    """Alarm rate and ranks of the scores over the rows."""
    found = report.seen.findings
    stretches = [one for one in found.timeline.stretches if one.scored >= LEAST_STRETCH]
    figure = new_figure(10.4, 5.0, "")
    above, below = figure.subplots(2, 1, sharex=True)
    _alarm_rates(above, stretches, report)
    _rank_quantiles(below, stretches)
    for panel in (above, below):
        for change in found.changes[:MOST_MARKS]:
            panel.axvline(change.row, color=RED, linewidth=1, linestyle=":")
    if found.changes:
        above.plot([], [], color=RED, linewidth=1, linestyle=":", label="a detector rang")
    if stretches:
        above.set_xlim(0, stretches[-1].first + found.timeline.length)
    above.legend(**LEGEND, loc="upper left", ncols=4)
    return svg(figure)


def _alarm_rates(panel: Axes, stretches: list[Stretch], report: Report) -> None:
    rows, block = [one.first for one in stretches], report.profile.promise.block_rows
    rates = [one.alarms / one.scored for one in stretches]
    bounds = np.array([clopper_pearson(one.alarms / block, max(1.0, one.scored / block)) for one in stretches])
    low, high = report.profile.promise.interval
    panel.axhspan(low, high, color=PALE, label="promised (95 %)")
    if stretches:
        panel.fill_between(rows, bounds[:, 0], bounds[:, 1], step="post", color=ORANGE, alpha=0.25, label="95 %")
        panel.step(rows, rates, where="post", color=ORANGE, linewidth=1.6, label="alarm rate")
        panel.set_ylim(0, min(1.0, 1.25 * max(high, *bounds[:, 1])))
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    name_axes(panel, "", "rows that alarm")


def _rank_quantiles(panel: Axes, stretches: list[Stretch]) -> None:
    rows = [one.first for one in stretches]
    tenth, median, most = ([one.quantile(share) for one in stretches] for share in (0.1, 0.5, 0.9))
    panel.fill_between(rows, tenth, most, step="post", color=BLUE, alpha=0.18, label="the middle 80 % of the rows")
    panel.step(rows, median, where="post", color=BLUE, linewidth=1.6, label="median row")
    for share in (0.1, 0.5, 0.9):
        panel.axhline(share, color=GREY, linewidth=0.8, linestyle="--")
    panel.set_ylim(0, 1)
    name_axes(panel, "row", "p-value")
    panel.legend(**LEGEND, loc="lower left", ncols=2)


def ranks(found: Findings) -> str:
    """The p-values of the rows: those of normal ones are even."""
    figure = new_figure(5.1, 3.0, "")
    panel = figure.subplots()
    shares = found.tally.ranks.reshape(RANK_BARS, -1).sum(1) / max(1, found.tally.scored)
    width = CELLS / RANK_BARS / CELLS
    places = (np.arange(RANK_BARS) + 0.5) * width
    colours = [ORANGE if place < TAIL else BLUE for place in places]
    panel.bar(places, shares, 0.92 * width, color=colours)
    panel.axhline(1 / RANK_BARS, color=GREY, linewidth=1.2, linestyle="--", label="normal rows")
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    name_axes(panel, "p-value (orange: the tail, where anomalies are)", "share of the rows")
    panel.legend(**LEGEND)
    return svg(figure)


def latent(found: Findings) -> str:
    """How far the code's mean lies from where it was, by direction."""
    figure = new_figure(5.1, 3.0, "")
    panel = figure.subplots()
    counts = found.tally.all
    means = counts.codes / max(1, counts.coded)
    panel.bar(np.arange(len(means)), means, color=BLUE)
    panel.axhline(0, color=GREY, linewidth=0.8)
    reach = max(1.0, 1.15 * float(np.abs(means).max(initial=0)))
    panel.set_ylim(-reach, reach)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    name_axes(panel, "direction of the code (whitened)", "mean, in standard deviations")
    return svg(figure)


def feature(look: Look) -> str:
    """A feature of normal rows and of these rows, by quantiles of the normal ones or by categories."""
    figure = new_figure(5.1, 2.9, "")
    panel = figure.subplots()
    before, after, names = histogram(look.feature, look.counts)
    places = np.arange(len(names))
    panel.bar(places - 0.2, before, 0.4, color=GREY, label="normal rows")
    panel.bar(places + 0.2, after, 0.4, color=BLUE, label="these rows")
    panel.set_xticks(places, names, rotation=40, ha="right")
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    name_axes(panel, "up to" if look.feature.kind == "numeric" else "", "share of the rows")
    panel.legend(**LEGEND)
    return svg(figure)


def histogram(
    feature: Feature, counts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Shares before and after by bar, and the bars' names; the last bar is that of missing values, if there are any."""
    known = 1 - feature.missing
    before, after = feature.shares * known, counts[:-1] / counts.sum()
    if feature.kind == "numeric":
        starts, names = _quantile_bars(feature)
    else:
        order = np.argsort(-np.maximum(before, after))[:BARS].tolist()
        labels = [*feature.labels, "(unseen)"]
        before, after, names = before[order], after[order], [labels[place][:LABEL] for place in order]
        starts = list(range(len(order)))
    before, after = np.add.reduceat(before, starts), np.add.reduceat(after, starts)
    missing = float(counts[-1] / counts.sum())
    if missing or feature.missing:
        before, after, names = np.append(before, feature.missing), np.append(after, missing), [*names, "(missing)"]
    return before, after, names


def _quantile_bars(feature: Feature) -> tuple[list[int], list[str]]:
    """The first cell of each bar, and the bars' upper ends."""
    cells = len(feature.shares)
    starts = np.unique(np.linspace(0, cells, BARS + 1)[:-1].astype(int)).tolist()
    ends = [*(start - 1 for start in starts[1:]), cells - 1]
    return starts, [f"{feature.edges[end]:.4g}" if end < len(feature.edges) else "above" for end in ends]
