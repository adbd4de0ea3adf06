"""Correlated sensors, and a small autoencoder of them, trained once."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.module import LitAutoencoder
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder

FEATURES, WINDOW = 12, 8


def sensors(rows: int, seed: int) -> Tensor:
    """Normal rows ``(rows, FEATURES)``: three causes, seen by all sensors, and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    causes = torch.randn(rows, 3, generator=generator)
    mixing = torch.randn(3, FEATURES, generator=torch.Generator().manual_seed(7))
    return causes @ mixing / 3**0.5 + 0.2 * torch.randn(rows, FEATURES, generator=generator)


def windows(rows: int, seed: int) -> Tensor:
    """Sliding windows ``(rows, WINDOW, 3)`` of slowly wandering sensors."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(rows + WINDOW - 1, 3, generator=generator)
    for step in range(1, len(steps)):
        steps[step] = 0.9 * steps[step - 1] + 0.4 * steps[step]
    return steps.unfold(0, WINDOW, 1).transpose(1, 2).contiguous()


def trained(model: LitAutoencoder, x: Tensor, steps: int = 150) -> LitAutoencoder:
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(steps):
        batch = x[torch.arange(step * 64, step * 64 + 64) % len(x)]
        cost = sum(term.mean() for term in model.terms(model.forward_pass(batch, batch)).values())
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def spec_of(kind: str, shape: tuple[int, ...]) -> DataSpec:
    return DataSpec("Probe", kind, shape, Rescale(0.0, 10.0), synthetic=True)


class Case(NamedTuple):
    """A detector and normal rows that it has not seen."""

    detector: Detector
    normal: Tensor


def make(kind: str, settings: DetectionSettings, variant=Autoencoder, members: int = 1) -> Case:
    draw, shape = (sensors, (FEATURES,)) if kind == "table" else (windows, (WINDOW, 3))
    models = []
    for member in range(members):
        torch.manual_seed(member)
        model = variant(spec_of(kind, shape), latent_dim=3, network=partial(MLP, hidden=[16]))
        models.append(trained(model, draw(2000, 0)))
    detector = Detector.fit(models, draw(2000, 0), draw(600, 1), draw(1500, 2), settings)
    return Case(detector, draw(1000, 3))


@pytest.fixture(scope="session")
def table() -> Case:
    return make("table", DetectionSettings(alpha=0.05, bank_size=300), members=2)


@pytest.fixture(scope="session")
def series() -> Case:
    return make("series", DetectionSettings(alpha=0.05, bank_size=300))


@pytest.fixture(params=["table", "series"])
def case(request) -> Case:
    return request.getfixturevalue(request.param)
