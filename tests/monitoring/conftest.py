"""A small autoencoder of made-up flows with detector and profile, trained once, and what watches its rows."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import lightning as L
import pytest
import torch
from torch import Tensor

from data import NetworkTraffic
from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.monitoring.profile import Profile, codes_of, rows_of
from lit_ae.monitoring.watch import Findings, Watch
from lit_ae.networks import MLP
from lit_ae.variants import Autoencoder
from pipelines.detecting import make_profile


class Watched(NamedTuple):
    """A trained model and its data."""

    data: NetworkTraffic
    detector: Detector
    profile: Profile

    @property
    def normal(self) -> Tensor:
        """Normal test rows in the user's units."""
        test = self.data.rows["test"]
        return test.raw[~test.anomaly]

    @property
    def numeric(self) -> list[int]:
        """The places of the numeric columns that vary."""
        columns = self.data.spec.schema.columns
        return [place for place, one in enumerate(columns) if one.kind == "numeric" and one.high - one.low > 1e-9]

    def look(self, raw: Tensor, piece: int = 700) -> Findings:
        """What is found in rows of the user's units."""
        x = self.data.spec.preprocessing.apply(raw)
        judged, watch = self.detector.judge(x), Watch(self.profile)
        for begin in range(0, len(raw), piece):
            some = slice(begin, begin + piece)
            rows, codes = rows_of(raw[some], self.data.spec), codes_of(self.detector, x[some])
            watch.add(judged.p_value[some].numpy(), judged.is_anomaly[some].numpy(), rows, codes)
        return watch.findings()


@pytest.fixture(scope="session")
def watched() -> Watched:
    data = NetworkTraffic()
    data.setup("test")
    L.seed_everything(0, verbose=False)
    model = Autoencoder(data.spec, latent_dim=4, network=partial(MLP, hidden=[32]))
    optimizer, x = torch.optim.Adam(model.parameters(), 3e-3), data.split("fit").x
    for _ in range(6):
        for batch in x.split(128):
            optimizer.zero_grad()
            (model(batch) - batch).square().mean().backward()
            optimizer.step()
    roles = (data.split(role).x for role in ("fit", "tune", "calibrate"))
    settings = DetectionSettings(alpha=0.02, scores=["residual", "neighbours"])
    detector = Detector.fit(model.eval().requires_grad_(False), *roles, settings)
    profile = make_profile(detector, data)
    assert profile is not None
    return Watched(data, detector, profile)


@pytest.fixture
def look(watched) -> Callable[[Tensor], Findings]:
    return watched.look
