"""The pictures a run leaves: one function a picture, from arrays or tensors to one PNG file.

Samples are images ``(N, C, H, W)`` (grey for one channel, colour for three) or, drawn as lines, rows ``(N, D)`` and
sequences ``(N, T, D)``. Values that are not finite show as red pixels or gaps, never as an error. Figures are built by
matplotlib's object interface alone, so several threads may draw at once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

Array = np.ndarray | torch.Tensor

DPI = 150
PALETTE = [mpl.colors.to_hex(colour) for colour in mpl.color_sequences["petroff10"]]
BLUE, ORANGE, RED = PALETTE[:3]
INK, GREY, PALE = "#222222", "#8a8a8a", "#d8d8d8"
MOST_TRAVERSALS = 20
LEGEND: dict[str, Any] = {"framealpha": 0.85, "edgecolor": "none", "fontsize": 8.5, "title_fontsize": 8.5}
SPREAD = "(spread at random)"


def reconstruction_grid(
    x: Array,
    x_hat: Array,
    path: str | Path,
    title: str,
    corrupted: Array | None = None,
    value_range: tuple[float, float] | None = (0.0, 1.0),
    errors: Array | None = None,
    error_name: str = "error",
) -> Path:
    """Inputs above their reconstructions and the absolute difference; lines are laid over each other.

    Args:
        x: inputs ``(N, ...)``; as many as fit are shown, from the first.
        x_hat: their reconstructions, of the same shape.
        path: the PNG file to write.
        title: what is shown, of which data and model.
        corrupted: what the encoder saw in place of ``x``.
        value_range: darkest and brightest value of images; None takes the range of ``x``.
        errors: one figure a sample ``(N,)``, printed below it.
        error_name: what ``errors`` are, with their unit.
    """
    seen = {"input": _numpy(x), "corrupted": None if corrupted is None else _numpy(corrupted)}
    layers = {name: values for name, values in (seen | {"reconstruction": _numpy(x_hat)}).items() if values is not None}
    notes = [] if errors is None else [_short(error) for error in _numpy(errors)]
    if layers["input"].ndim != 4:
        return _overlaid_lines(layers, path, title, [f"{error_name} {note}" for note in notes])
    shown = slice(_most_columns(layers["input"]))
    low, high = value_range or _finite_range(layers["input"])
    rows = [_rgb(values[shown], low, high) for values in layers.values()]
    with np.errstate(invalid="ignore"):
        difference = np.abs(layers["input"][shown] - layers["reconstruction"][shown]).mean(axis=1, keepdims=True)
    rows.append(_rgb(difference, 0, high - low, "magma"))
    labels = [*layers, f"|difference|\nblack 0, white {high - low:g}"]
    below = f"{error_name} of each column" if notes else ""
    return _image_grid(rows, path, title, labels, notes[shown], below)


def sample_grid(
    samples: Array, path: str | Path, title: str, value_range: tuple[float, float] | None = (0.0, 1.0)
) -> Path:
    """Samples ``(N, ...)`` side by side, as square a grid as fits."""
    values = _numpy(samples)
    columns = min(int(np.ceil(np.sqrt(len(values)))), _most_columns(values))
    values = values[: columns * max(columns, 8)]
    rows = [values[start : start + columns] for start in range(0, len(values), columns)]
    return _grid(rows, path, title, value_range)


def interpolation_grid(
    grid: Array, path: str | Path, title: str, value_range: tuple[float, float] | None = (0.0, 1.0)
) -> Path:
    """One pair a row: the first and last of ``(pairs, steps, ...)`` are two real inputs, framed; decoded between."""
    values = _numpy(grid)
    columns = ["input A", *[""] * (values.shape[1] - 2), "input B"]
    return _grid(list(values), path, title, value_range, (), columns, "decoded from codes between the two", True)


def traversal_grid(
    grid: Array,
    values: Sequence[float] | Array,
    dimensions: Sequence[int],
    path: str | Path,
    title: str,
    kl: Sequence[float] | Array | None = None,
    value_range: tuple[float, float] | None = (0.0, 1.0),
) -> Path:
    """One latent dimension a row of ``(dimensions, values, ...)``, moved through ``values`` while the others stay.

    The first 20 rows are shown, so put the most telling dimensions first. ``kl`` (nats, one a row) joins the labels.
    """
    decoded = _numpy(grid)[:MOST_TRAVERSALS]
    rows = [f"z{dimension}" for dimension in dimensions]
    if kl is not None:
        rows = [f"{row}, KL {nats:.2f} nats" for row, nats in zip(rows, _numpy(kl), strict=True)]
    columns = [f"{value:.3g}".replace("-", "\N{MINUS SIGN}") for value in _numpy(values)]
    below = "value of the latent dimension"
    return _grid(list(decoded), path, title, value_range, rows[: len(decoded)], columns, below)


class Projection(NamedTuple):
    """Codes in the plane: ``points`` ``(n, 2)``, ``rows`` ``(n,)`` they come from, ``axes`` what each axis is."""

    points: np.ndarray
    rows: np.ndarray
    axes: tuple[str, str]


def project(codes: Array, method: str = "pca", seed: int = 0, max_rows: int = 2000) -> Projection:
    """Bring codes ``(N, ...)`` into two dimensions, the same way for the same seed.

    A code of two dimensions stays as it is, one of a single dimension is spread at random across the second axis. Rows
    that are not finite are left out, and of more than ``max_rows`` a random selection is used.

    Args:
        codes: the codes; all but the first axis are flattened.
        method: ``"pca"``, or ``"tsne"`` (which falls back to PCA where there is nothing to embed).
        seed: of the selection and of t-SNE.
        max_rows: how many codes to use at most.

    Raises:
        ValueError: for another method.
    """
    if method not in ("pca", "tsne"):
        raise ValueError(f"method is {method!r}, but codes are projected by 'pca' or 'tsne'.")
    flat = _numpy(codes).reshape(len(codes), -1)
    random = np.random.default_rng(seed)
    rows = np.flatnonzero(np.isfinite(flat).all(axis=1))
    if len(rows) > max_rows:
        rows = np.sort(random.choice(rows, max_rows, replace=False))
    flat = flat[rows]
    if flat.shape[1] == 1:
        return Projection(np.column_stack([flat, random.uniform(-1, 1, len(flat))]), rows, ("z0", SPREAD))
    if flat.shape[1] == 2:
        return Projection(flat, rows, ("z0", "z1"))
    points, axes = _tsne(flat, seed) if method == "tsne" and len(np.unique(flat, axis=0)) > 3 else _pca(flat)
    return Projection(points, rows, axes)


def latent_map(
    points: Array,
    labels: Array | Sequence[object] | None,
    class_names: Sequence[str] | None,
    path: str | Path,
    title: str,
    axes: tuple[str, str],
) -> Path:
    """Codes in the plane ``(N, 2)``, coloured by label where there is one; ``axes`` says what each axis is."""
    points = _numpy(points)
    classes = [] if labels is None else _classes(labels, class_names)
    figure, panel = _panel(5.2 + _legend_width(classes), 5.2, title)
    size = float(np.clip(9000 / max(len(points), 1), 5, 40))
    colours = np.full((len(points), 3), mpl.colors.to_rgb(BLUE))
    for (_, members), colour in zip(classes, _distinct_colours(len(classes)), strict=True):
        colours[members] = colour
    panel.scatter(points[:, 0], points[:, 1], c=colours, s=size, alpha=0.75, linewidths=0)
    _axis_names(panel, *axes)
    if axes[1] == SPREAD:
        panel.set_yticks([])
    else:
        panel.set_aspect("equal", adjustable="datalim")
    if classes:
        _name_classes(panel, points, classes)
    return _save(figure, path)


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
    values = {"this model": _numpy(errors)} | ({} if baseline is None else {baseline_name: _numpy(baseline)})
    classes = [] if labels is None else _classes(labels, class_names)
    figure = _figure(6.4, 3.6 + 0.24 * len(classes) + 0.4 * bool(classes), title)
    heights = [3, 0.24 * len(classes) + 0.2] if classes else [3]
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    edges, beyond = _bins(np.concatenate(list(values.values())))
    for (name, spread), filled in zip(values.items(), (True, False), strict=False):
        _bars(panels[0], spread, edges, name, filled)
    _axis_names(panels[0], "", "samples")
    panels[0].set(xlim=(edges[0], edges[-1]), ylim=(0, None))
    panels[0].legend(**LEGEND)
    if classes:
        _boxes(panels[1], values["this model"], classes)
    cut = f"; {beyond} beyond {_short(edges[-1])} not shown" if beyond else ""
    _axis_names(panels[-1], f"error ({unit}){cut}", "" if classes else "samples")
    return _save(figure, path)


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
    figure = _figure(max(3.1 * columns, 4.8), 2.5 * rows + 0.5, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    best = _lowest(history.get(monitor, []))
    for panel, term in zip(panels, terms, strict=False):
        _curves(panel, {key: curve for key, curve in history.items() if _term(key) == term}, best)
        panel.set_title(term.replace("_", " "), loc="left", fontsize=9, color=INK)
        _axis_names(panel, "epoch", (units or {}).get(term, ""))
    for panel in panels[len(terms) :]:
        panel.set_axis_off()
    known = {handle.get_label(): handle for panel in panels for handle in panel.get_legend_handles_labels()[0]}
    if known:
        figure.legend(handles=list(known.values()), loc="outside lower left", ncols=4, **LEGEND)
    return _save(figure, path)


def kl_per_dimension(kl: Array, path: str | Path, title: str, threshold: float = 0.01) -> Path:
    """The KL ``(latent_dim,)`` of each latent dimension in nats, largest first; active ones exceed ``threshold``."""
    given = _numpy(kl).ravel()
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
    _axis_names(panel, "latent dimension, largest KL first", "KL to the prior (nats)")
    panel.set_xticks(np.arange(len(nats)) if few else [], [str(dimension) for dimension in order] if few else [])
    if len(nats) > 24:
        panel.tick_params(axis="x", labelsize=7, rotation=90)
    marks = [
        Patch(color=BLUE, label=f"{active.sum()} active, KL > {threshold:g} nats"),
        Patch(color=PALE, label=f"{(~active).sum()} inactive"),
    ]
    panel.legend(handles=marks, title=f"{nats.sum():.2f} nats in all{lost}", alignment="left", **LEGEND)
    return _save(figure, path)


def _numpy(values: object) -> np.ndarray:
    tensor = values.detach().cpu() if isinstance(values, torch.Tensor) else torch.as_tensor(np.asarray(values))
    return tensor.double().numpy()


def _short(value: float) -> str:
    return f"{value:#.3g}".removesuffix(".").replace("-", "\N{MINUS SIGN}")


def _finite_range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _figure(width: float, height: float, title: str) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout=layout)
    figure.suptitle(_wrapped(title, width), x=0.01, ha="left", fontsize=10.5, color=INK)
    return figure


def _wrapped(title: str, width: float) -> str:
    return fill(title, max(int(width * 12), 56)).replace("$", r"\$")


def _panel(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = _figure(width, height, title)
    return figure, figure.subplots()


def _save(figure: Figure, path: str | Path) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    cropped: dict[str, Any] = {} if figure.get_layout_engine() else {"bbox_inches": "tight", "pad_inches": 0.12}
    figure.savefig(path, format="png", dpi=DPI, **cropped)
    return Path(path)


def _style(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GREY)
    panel.tick_params(labelsize=8, color=GREY, labelcolor=INK, length=3)


def _axis_names(panel: Axes, across: str, up: str) -> None:
    _style(panel)
    panel.set_xlabel(across, fontsize=9, color=INK)
    panel.set_ylabel(up, fontsize=9, color=INK)


def _most_columns(samples: np.ndarray) -> int:
    longer_side = max(samples.shape[2:]) if samples.ndim == 4 else 64
    return next((columns for side, columns in ((32, 12), (64, 8), (128, 6)) if longer_side <= side), 4)


def _rgb(images: np.ndarray, low: float, high: float, colours: str = "gray") -> np.ndarray:
    """Images ``(N, C, H, W)`` as ``(N, H, W, 3)`` in 0 to 1; what is not a number is red."""
    scaled = np.clip((images - low) / ((high - low) or 1.0), 0, 1)
    coloured = np.moveaxis(scaled, 1, -1) if images.shape[1] == 3 else _shades(scaled.mean(axis=1), colours)
    return np.where(np.isnan(images).any(axis=1)[..., None], mpl.colors.to_rgb(RED), coloured)


def _shades(images: np.ndarray, colours: str) -> np.ndarray:
    return mpl.colormaps[colours](images)[..., :3]


def _grid(
    rows: list[np.ndarray],
    path: str | Path,
    title: str,
    value_range: tuple[float, float] | None,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    below: str = "",
    framed: bool = False,
) -> Path:
    """Rows of samples ``(columns, ...)``, as images or lines; the last may be shorter."""
    if rows[0].ndim != 4:
        return _line_grid(rows, path, title, row_labels, column_labels, below, framed)
    low, high = value_range or _finite_range(np.concatenate(rows))
    images = [_rgb(row, low, high) for row in rows]
    return _image_grid(images, path, title, row_labels, column_labels, below, framed)


def _image_grid(
    rows: list[np.ndarray],
    path: str | Path,
    title: str,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    below: str,
    framed: bool = False,
) -> Path:
    """Rows of ``(columns, H, W, 3)`` as one mosaic; rows of another resolution are brought to the first one's."""
    height, width = _cell_size(*rows[0].shape[1:3])
    gap, columns = max(2, max(height, width) // 24), len(rows[0])
    mosaic = np.ones((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), dtype=np.float32)
    for down, row in enumerate(rows):
        for across, image in enumerate(row):
            top, left = down * (height + gap), across * (width + gap)
            mosaic[top : top + height, left : left + width] = _resized(image, height, width)
    inches = min(1.4 if max(height, width) <= 128 else 2.2, 9.5 / columns, 12 / len(rows)) / max(height, width)
    figure = Figure(figsize=(mosaic.shape[1] * inches, mosaic.shape[0] * inches), facecolor="white")
    panel = figure.add_axes((0, 0, 1, 1))
    panel.imshow(mosaic, aspect="auto")
    panel.set_title(_wrapped(title, figure.get_figwidth()), loc="left", fontsize=10.5, color=INK, pad=8)
    panel.set_yticks([down * (height + gap) + height / 2 for down in range(len(row_labels))], row_labels)
    panel.set_xticks([across * (width + gap) + width / 2 for across in range(len(column_labels))], column_labels)
    _axis_names(panel, below, "")
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0, pad=5)
    for across in (0, columns - 1) if framed else ():
        corner, size = (across * (width + gap) - 0.5, -0.5), (width, mosaic.shape[0])
        panel.add_patch(Rectangle(corner, *size, fill=False, edgecolor=ORANGE, linewidth=2.5, clip_on=False))
    return _save(figure, path)


def _cell_size(height: int, width: int) -> tuple[int, int]:
    """Pixels of the mosaic for an image: small ones a whole number of times enlarged, huge ones brought down."""
    longer = max(height, width)
    scale = max(1, round(96 / longer)) if longer <= 512 else 512 / longer
    return max(1, int(height * scale)), max(1, int(width * scale))


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    down = np.arange(height) * image.shape[0] // height
    across = np.arange(width) * image.shape[1] // width
    return image[down[:, None], across]


def _line_grid(
    rows: list[np.ndarray],
    path: str | Path,
    title: str,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    below: str,
    framed: bool,
) -> Path:
    """Rows of samples ``(columns, D)`` or ``(columns, T, D)``, each sample's values in a panel of its own."""
    columns = len(rows[0])
    figure = _figure(min(1.5 * columns + 1, 12), min(1.1 * len(rows) + 1, 14), title)
    panels = figure.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
    for panel in panels.ravel():
        _style(panel)
    for down, row in enumerate(rows):
        for across, sample in enumerate(row):
            real = framed and across in (0, columns - 1)
            _line(panels[down, across], sample, color=ORANGE if real else BLUE)
    for panel, label in zip(panels[:, 0], row_labels, strict=False):
        panel.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8, color=INK)
    for panel, label in zip(panels[-1], column_labels, strict=False):
        panel.set_xlabel(label, fontsize=8, color=INK)
    figure.supxlabel(f"{below}; " * bool(below) + "in each panel: value by feature or step", fontsize=9, color=INK)
    return _save(figure, path)


def _line(panel: Axes, values: np.ndarray, **look: Any) -> None:
    """Draw ``(T,)`` or ``(T, D)``, with points where they are few enough to be told apart."""
    panel.plot(values, linewidth=1.2, marker="o" if len(values) <= 32 else None, markersize=2.5, **look)


def _overlaid_lines(layers: Mapping[str, np.ndarray], path: str | Path, title: str, notes: Sequence[str]) -> Path:
    """The layers ``(N, D)`` or ``(N, T, D)`` in one panel a sample, or a panel for each of up to four channels."""
    sequences = layers["input"].ndim == 3
    layers = {name: values if sequences else values.reshape(len(values), -1, 1) for name, values in layers.items()}
    samples, _, channels = layers["input"].shape
    columns, channels = min(samples, 3), min(channels, 4)
    shown = [(sample, channel) for channel in range(channels) for sample in range(columns if channels > 1 else samples)]
    shown = shown[: 3 * columns if channels == 1 else None]
    rows = -(-len(shown) // columns)
    figure = _figure(max(3.4 * columns, 4.8), 1.8 * rows + 1, title)
    panels = figure.subplots(rows, columns, sharex=True, sharey="row", squeeze=False).ravel()
    looks = {"input": (INK, "-"), "corrupted": (GREY, ":"), "reconstruction": (ORANGE, "-")}
    for panel, (sample, channel) in zip(panels, shown, strict=False):
        for name, values in layers.items():
            colour, dashes = looks[name]
            _line(panel, values[sample, :, channel], color=colour, linestyle=dashes, label=name)
        _axis_names(panel, "step" if sequences else "feature", f"channel {channel}" if channels > 1 else "value")
        if channel == 0:
            panel.set_title(notes[sample] if notes else f"sample {sample}", loc="left", fontsize=8.5, color=INK)
    for place, panel in enumerate(panels):
        panel.label_outer()
        panel.set_visible(place < len(shown))
    handles = panels[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, **LEGEND)
    return _save(figure, path)


def _pca(codes: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    if len(codes) < 2:
        return np.zeros((len(codes), 2)), ("first principal component", "second principal component")
    pca = PCA(n_components=2, svd_solver="full")
    with np.errstate(invalid="ignore"):
        points = pca.fit_transform(codes)
    first, second = (f"{share:.1%}".replace("%", " %") for share in np.nan_to_num(pca.explained_variance_ratio_))
    said = "{} principal component, {} of the variance"
    return points, (said.format("first", first), said.format("second", second))


def _tsne(codes: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    perplexity = min(30.0, (len(codes) - 1) / 3)
    points = TSNE(perplexity=perplexity, random_state=seed).fit_transform(codes)
    return points, (f"t-SNE 1, perplexity {perplexity:.3g}", "t-SNE 2")


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
    low, high = _finite_range(finite)
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
    median = _short(float(np.median(finite))) if len(finite) else "none"
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
    low, high = _finite_range(values)
    if low > 0 and high > 30 * low:
        panel.set_yscale("log")
    if best is not None:
        panel.axvline(best, color=ORANGE, linewidth=1, linestyle="--", label=f"best epoch, {best:g}")
    left, right = panel.get_xlim()
    panel.set_xlim(min(left, (left + right - 1) / 2), max(right, (left + right + 1) / 2))
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
