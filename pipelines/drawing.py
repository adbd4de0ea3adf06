"""The one look of every picture: colours, figures, axes, and files."""

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

Array = np.ndarray | torch.Tensor

DPI = 150
INK, GREY, PALE = "#222222", "#8a8a8a", "#d8d8d8"
# Safe for colour-blind eyes; its second grey is too near the first for scattered points and gives way to near-black.
PALETTE = [
    INK if colour == "#717581" else colour for colour in map(mpl.colors.to_hex, mpl.color_sequences["petroff10"])
]
BLUE, ORANGE, RED = PALETTE[:3]
LEGEND: dict[str, Any] = {"framealpha": 0.85, "edgecolor": "none", "fontsize": 8.5, "title_fontsize": 8.5}


def to_numpy(values: object) -> np.ndarray:
    """Arrays, tensors on any device or plain lists, as float64."""
    tensor = values.detach().cpu() if isinstance(values, torch.Tensor) else torch.as_tensor(np.asarray(values))
    return tensor.double().numpy()


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:#.3g}".removesuffix(".").replace("-", "\N{MINUS SIGN}")


def finite_range(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest finite value; 0 and 1 where there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of this size in inches, titled."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout=layout)
    figure.suptitle(wrapped(title, width), x=0.01, ha="left", fontsize=10.5, color=INK)
    return figure


def wrapped(title: str, width: float) -> str:
    """A title in lines that fit a width in inches; dollar signs stay dollar signs."""
    return fill(title, max(int(width * 12), 56)).replace("$", r"\$")


def save(figure: Figure, path: str | Path) -> Path:
    """Write a PNG, its folder too, and return its path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    cropped: dict[str, Any] = {} if figure.get_layout_engine() else {"bbox_inches": "tight", "pad_inches": 0.12}
    figure.savefig(path, format="png", dpi=DPI, **cropped)
    return Path(path)


def style(panel: Axes) -> None:
    """The one look of every panel."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GREY)
    panel.tick_params(labelsize=8, color=GREY, labelcolor=INK, length=3)


def name_axes(panel: Axes, across: str, up: str) -> None:
    """Style a panel and say what its axes are."""
    style(panel)
    panel.set_xlabel(across, fontsize=9, color=INK)
    panel.set_ylabel(up, fontsize=9, color=INK)
