"""The pictures of a trained model: what people look at first."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from data.base import LitData
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.reconstruction import error_name
from lit_ae.module import LitAutoencoder
from pipelines import pictures
from pipelines.callbacks import draw_reconstructions
from pipelines.detection_pictures import draw_detection
from pipelines.explained import explain_alarms
from pipelines.judging.verdict import Verdict
from pipelines.projection import Projection, planes
from pipelines.string_portfolio import draw_strings
from pipelines.tracking import Tracker

STEPS = 10
VALUES = np.linspace(-3, 3, 9)
UNITS, INPUTS = 16, 10


def draw_portfolio(
    model: LitAutoencoder,
    data: LitData,
    verdict: Verdict,
    history: Mapping[str, Sequence[tuple[float, float]]],
    tracker: Tracker,
    tsne_rows: int,
) -> Path:
    """Draws every picture that makes sense for the model, logs them, and returns their folder."""
    folder = tracker.directory / "pictures"
    what = f"{type(model).__name__} on {data.spec.name}"
    test = data.split("test")
    drawn = [draw_reconstructions(model, test.x[:10], folder / "reconstructions.png", "test split")]
    measures = model.measures()
    if history:
        drawn.append(_learning_curves(history, measures.unit_of if measures else {}, folder, what))
    drawn.append(
        pictures.error_histogram(
            verdict.errors,
            folder / "errors.png",
            f"{what}: test errors",
            error_name(data.spec),
            baseline=verdict.pca_errors,
            labels=test.y,
            class_names=data.spec.classes,
        )
    )
    maps = planes(verdict.codes, tsne_rows)
    drawn += [_latent_map(shown, test.y, data, folder / f"latent_{method}.png", what) for method, shown in maps.items()]
    if verdict.kl is not None:
        drawn.append(pictures.kl_per_dimension(verdict.kl, folder / "kl.png", f"{what}: KL of each latent dimension"))
    if data.spec.kind == "sequence":
        drawn += draw_strings(model, data, verdict, maps, folder, what)
    else:
        drawn += _draw_samples(model, data, verdict, folder, what)
    if verdict.detection is not None:
        drawn += draw_detection(verdict.detection, folder, what)
    if verdict.detector is not None:
        drawn += explain_alarms(verdict.detector, test.x, tracker, what)
    for path in drawn:
        tracker.log_file(path, "pictures")
    return folder


def _draw_samples(model: LitAutoencoder, data: LitData, verdict: Verdict, folder: Path, what: str) -> list[Path]:
    """Samples of the data's kind, decoded from codes of all sorts."""
    x = data.split("test").x
    drawn = [_interpolations(model, x, folder, what), _traversals(model, verdict, folder, what)]
    if model.prior is not None:
        drawn.append(_samples(model, folder, what))
    if model.posterior(x[:1]).activity is not None:
        drawn.append(_units(model, x, folder, what))
    return drawn


def _learning_curves(
    history: Mapping[str, Sequence[tuple[float, float]]], unit_of: Mapping[str, str], folder: Path, what: str
) -> Path:
    """Every term, and in panels of their own the weights that change, the parts' gradients and the learning rate."""
    curves = {
        name.replace("weight/", "weight of ").replace("gradient_norm/", "gradient norm of "): points
        for name, points in history.items()
    }
    terms = {name.partition("/")[2] for name in curves if "/" in name}
    units = {name: "nats" for name in terms} | {"mse": "per feature", "token_accuracy": "share", **unit_of}
    title = f"{what}: every term of the objective"
    return pictures.learning_curves(curves, folder / "learning_curves.png", title, units=units)


def _latent_map(shown: Projection, y: torch.Tensor | None, data: LitData, path: Path, what: str) -> Path:
    labels = None if y is None else y[torch.from_numpy(shown.rows)]
    return pictures.latent_map(shown.points, labels, data.spec.classes, path, f"{what}: test codes", axes=shown.axes)


@torch.no_grad()
def _interpolations(model: LitAutoencoder, x: torch.Tensor, folder: Path, what: str) -> Path:
    """Six pairs of test samples, and what is decoded between their codes."""
    starts, ends = x[:6], x[6:12]
    share = torch.linspace(0, 1, STEPS)[:, None]
    rows = []
    for start, end in zip(starts, ends, strict=False):
        a, b = model.encode(torch.stack([start, end]))
        decoded = model.decode(a + share * (b - a))
        rows.append(torch.cat([start[None], decoded[1:-1], end[None]]))
    title = f"{what}: interpolations between test samples"
    return pictures.interpolation_grid(torch.stack(rows), folder / "interpolations.png", title, model.spec.value_range)


@torch.no_grad()
def _traversals(model: LitAutoencoder, verdict: Verdict, folder: Path, what: str) -> Path:
    """Each latent dimension moved by -3 to 3 (standard deviations where there is no prior), others at the mean."""
    spread = torch.ones(model.latent_dim) if model.prior is not None else verdict.codes.std(0)
    centre = torch.zeros(model.latent_dim) if model.prior is not None else verdict.codes.mean(0)
    importance = verdict.kl if verdict.kl is not None else verdict.codes.var(0)
    order = importance.argsort(descending=True)[: pictures.MOST_TRAVERSALS].tolist()
    grid = []
    for dimension in order:
        codes = centre.repeat(len(VALUES), 1)
        codes[:, dimension] += torch.from_numpy(VALUES).float() * spread[dimension]
        grid.append(model.decode(codes))
    kl = None if verdict.kl is None else verdict.kl[order]
    unit = "" if model.prior is not None else " (in standard deviations)"
    title = f"{what}: one latent dimension at a time{unit}"
    path = folder / "traversals.png"
    return pictures.traversal_grid(torch.stack(grid), VALUES, order, path, title, kl, model.spec.value_range)


@torch.no_grad()
def _samples(model: LitAutoencoder, folder: Path, what: str) -> Path:
    drawn = model.sample(64, torch.Generator().manual_seed(0))
    return pictures.sample_grid(
        drawn, folder / "samples.png", f"{what}: samples from the prior", model.spec.value_range
    )


def _units(model: LitAutoencoder, x: torch.Tensor, folder: Path, what: str) -> Path:
    """The test inputs that use each unit of the code (or code of the codebook) most; the units used most, first."""

    def activity(rows: torch.Tensor) -> torch.Tensor:
        used = model.posterior(rows).activity
        assert used is not None
        return used

    used = in_chunks(activity, x)
    shown = used.clamp(min=0).sum(0).argsort(descending=True)[:UNITS]
    strongest = used[:, shown].T.argsort(dim=1, descending=True, stable=True)[:, :INPUTS]
    share = (used[:, shown] > 0).float().mean(0)
    notes = [f"unit {u}, in {s:.0%}" for u, s in zip(shown.tolist(), share.tolist(), strict=True)]
    title = f"{what}: most activating inputs, and the share of inputs that use the unit"
    return pictures.unit_grid(x[strongest], notes, folder / "units.png", title, model.spec.value_range)
