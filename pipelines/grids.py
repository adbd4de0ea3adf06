"""Grids of samples: as a mosaic where they are images, as lines where they are rows or sequences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipelines.drawing import (
    BLUE,
    GREY,
    INK,
    LEGEND,
    ORANGE,
    PALETTE,
    RED,
    Array,
    finite_range,
    name_axes,
    new_figure,
    save,
    short,
    to_numpy,
    wrapped,
)

MOST_TRAVERSALS = 20
CELL = "#f3f3f3"
LINE: dict[str, Any] = {"linewidth": 1.2, "markersize": 2.5}
LOOKS = {"input": (INK, "-"), "corrupted": (GREY, ":"), "reconstruction": (ORANGE, "-")}


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
    given = {"input": x, "corrupted": corrupted, "reconstruction": x_hat}
    layers = {name: to_numpy(values) for name, values in given.items() if values is not None}
    notes = [] if errors is None else [short(error) for error in to_numpy(errors)]
    if layers["input"].ndim != 4:
        return _overlaid_lines(layers, path, title, [f"{error_name} {note}" for note in notes])
    shown = slice(_most_columns(layers["input"]))
    low, high = value_range or finite_range(layers["input"])
    rows = [_rgb(values[shown], low, high) for values in layers.values()]
    with np.errstate(invalid="ignore"):
        difference = np.abs(layers["input"][shown] - layers["reconstruction"][shown]).mean(axis=1, keepdims=True)
    rows.append(_rgb(difference, 0, high - low, "magma"))
    labels = [*layers, f"|difference|\nblack 0, white {high - low:g}"]
    below = f"{error_name} of each column" if notes else ""
    return _image_grid(rows, path, title, labels, notes[shown], below)


def model_grid(
    of_models: Mapping[str, Array], path: str | Path, title: str, value_range: tuple[float, float] | None = (0.0, 1.0)
) -> Path:
    """The same images ``(N, C, H, W)`` by each model, a row a model under its name; as many as fit, from the first."""
    rows = [to_numpy(images)[: _most_columns(to_numpy(images))] for images in of_models.values()]
    return _grid(rows, path, title, value_range, list(of_models))


def line_rows(of_models: Mapping[str, Array], path: str | Path, title: str) -> Path:
    """The same rows ``(N, D)`` or sequences ``(N, T, D)``, the first (the input) in ink, the models' laid over it.

    Of a sequence the first channels are shown, in panels of their own.
    """
    layers = {name: to_numpy(values) for name, values in of_models.items()}
    return _overlaid_lines(layers, path, title, [])


def sample_grid(
    samples: Array, path: str | Path, title: str, value_range: tuple[float, float] | None = (0.0, 1.0)
) -> Path:
    """Samples ``(N, ...)`` side by side, as square a grid as fits."""
    values = to_numpy(samples)
    columns = min(int(np.ceil(np.sqrt(len(values)))), _most_columns(values))
    values = values[: columns * max(columns, 8)]
    rows = [values[start : start + columns] for start in range(0, len(values), columns)]
    return _grid(rows, path, title, value_range)


def interpolation_grid(
    grid: Array, path: str | Path, title: str, value_range: tuple[float, float] | None = (0.0, 1.0)
) -> Path:
    """One pair a row: the first and last of ``(pairs, steps, ...)`` are two real inputs, framed; decoded between."""
    values = to_numpy(grid)
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
    decoded = to_numpy(grid)[:MOST_TRAVERSALS]
    rows = [f"z{dimension}" for dimension in dimensions]
    if kl is not None:
        rows = [f"{row}, KL {nats:.2f} nats" for row, nats in zip(rows, to_numpy(kl), strict=True)]
    columns = [f"{value:.3g}".replace("-", "\N{MINUS SIGN}") for value in to_numpy(values)]
    below = "value of the latent dimension"
    return _grid(list(decoded), path, title, value_range, rows[: len(decoded)], columns, below)


def unit_grid(
    grid: Array,
    notes: Sequence[str],
    path: str | Path,
    title: str,
    value_range: tuple[float, float] | None = (0.0, 1.0),
) -> Path:
    """One unit a row of ``(units, columns, ...)``: the inputs that use it most, the strongest first."""
    rows = to_numpy(grid)
    below = "inputs that use the unit most, the strongest first"
    return _grid([row[: _most_columns(row)] for row in rows], path, title, value_range, notes, (), below)


def explanation_grid(rows: Array, expected: Array, heat: Array, nearest: Array, path: str | Path, title: str) -> Path:
    """Images that alarm, above what was expected of them, where they are strange, and the nearest training image.

    Args:
        rows: the images ``(N, C, H, W)``; as many as fit are shown, from the first.
        expected: the same, as the model would have them.
        heat: the share of its image's strangeness that each pixel has ``(N, H, W)``.
        nearest: the training image nearest to each ``(N, C, H, W)``.
        path: the PNG file to write.
        title: what is shown, of which data and model.
    """
    shown = slice(_most_columns(to_numpy(rows)))
    low, high = finite_range(to_numpy(rows)[shown])
    plain = [_rgb(to_numpy(images)[shown], low, high) for images in (rows, expected, nearest)]
    shares = to_numpy(heat)[shown, None]
    hottest = shares.max(axis=(1, 2, 3), keepdims=True)
    hot = _rgb(shares / np.where(hottest > 0, hottest, 1.0), 0, 1, "magma")
    labels = ["alarm", "expected", "where it is strange\nwhite: the most", "nearest normal"]
    return _image_grid([plain[0], plain[1], hot, plain[2]], path, title, labels, (), "the highest score first")


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
    low, high = value_range or finite_range(np.concatenate(rows))
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
    panel.set_title(wrapped(title, figure.get_figwidth()), loc="left", fontsize=10.5, color=INK, pad=8)
    panel.set_yticks([down * (height + gap) + height / 2 for down in range(len(row_labels))], row_labels)
    panel.set_xticks([across * (width + gap) + width / 2 for across in range(len(column_labels))], column_labels)
    name_axes(panel, below, "")
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0, pad=5)
    for across in (0, columns - 1) if framed else ():
        corner, size = (across * (width + gap) - 0.5, -0.5), (width, mosaic.shape[0])
        panel.add_patch(Rectangle(corner, *size, fill=False, edgecolor=ORANGE, linewidth=2.5, clip_on=False))
    return save(figure, path)


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
    """Rows of samples ``(columns, D)`` or ``(columns, T, D)`` as cells of one panel, all on one scale."""
    low, high = finite_range(np.concatenate(rows))
    columns, length = len(rows[0]), len(rows[0][0])
    place, pitch = np.linspace(0, 1, length), 1.1  # a cell is one wide and one high
    figure = new_figure(min(1.5 * columns + 1, 12), min(1.1 * len(rows) + 1, 14), title)
    panel = figure.subplots()
    marker = "o" if length <= 32 else None
    for down, row in enumerate(rows):
        bottom, left = -pitch * down, pitch * np.arange(len(row))
        panel.broken_barh([(edge, 1) for edge in left], (bottom, 1), color=CELL)
        for across, sample in enumerate((row - low) / ((high - low) or 1.0)):
            colour = ORANGE if framed and across in (0, columns - 1) else BLUE
            panel.plot(left[across] + place, bottom + sample, color=colour, marker=marker, **LINE)
    panel.set_yticks([0.5 - pitch * down for down in range(len(row_labels))], row_labels)
    panel.set_xticks([0.5 + pitch * across for across in range(len(column_labels))], column_labels)
    scale = f"in each cell: value ({short(low)} to {short(high)}) by feature or step"
    name_axes(panel, f"{below}; " * bool(below) + scale, "")
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0, pad=5)
    panel.margins(0.01)
    return save(figure, path)


def _line(panel: Axes, values: np.ndarray, **look: Any) -> None:
    """Draw ``(T,)`` or ``(T, D)``, with points where they are few enough to be told apart."""
    panel.plot(values, marker="o" if len(values) <= 32 else None, **LINE, **look)


def _overlaid_lines(layers: Mapping[str, np.ndarray], path: str | Path, title: str, notes: Sequence[str]) -> Path:
    """The layers ``(N, D)`` or ``(N, T, D)`` in one panel a sample, or a panel for each of up to four channels."""
    sequences = layers["input"].ndim == 3
    others = (colour for colour in (PALETTE * len(layers)) if colour not in (INK, GREY))
    looks = {name: LOOKS.get(name) or (next(others), "-") for name in layers}
    layers = {name: values if sequences else values.reshape(len(values), -1, 1) for name, values in layers.items()}
    samples, _, channels = layers["input"].shape
    columns, channels = min(samples, 3), min(channels, 4)
    shown = [(sample, channel) for channel in range(channels) for sample in range(columns if channels > 1 else samples)]
    shown = shown[: 3 * columns if channels == 1 else None]
    rows = -(-len(shown) // columns)
    figure = new_figure(max(3.4 * columns, 4.8), 1.8 * rows + 1, title)
    panels = figure.subplots(rows, columns, sharex=True, sharey="row", squeeze=False).ravel()
    for panel, (sample, channel) in zip(panels, shown, strict=False):
        for name, values in layers.items():
            colour, dashes = looks[name]
            _line(panel, values[sample, :, channel], color=colour, linestyle=dashes, label=name)
        name_axes(panel, "step" if sequences else "feature", f"channel {channel}" if channels > 1 else "value")
        if channel == 0:
            panel.set_title(notes[sample] if notes else f"sample {sample}", loc="left", fontsize=8.5, color=INK)
    for place, panel in enumerate(panels):
        panel.label_outer()
        panel.set_visible(place < len(shown))
    handles = panels[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, **LEGEND)
    return save(figure, path)
