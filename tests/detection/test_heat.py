"""The heat map of an image: it lies where the image is strange."""

import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from sklearn.datasets import load_digits

from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder
from pipelines.explained import explain_alarms
from tests.detection.conftest import trained


def test_the_heat_lies_where_an_image_was_damaged_and_is_drawn(tmp_path: Path) -> None:
    x = torch.from_numpy(load_digits().images).float()[:, None] / 16
    spec = DataSpec("Digits", "image", (1, 8, 8), Rescale(0.0, 16.0), value_range=(0.0, 1.0))
    torch.manual_seed(0)
    model = trained(Autoencoder(spec, latent_dim=12, network=partial(MLP, hidden=[64])), x[:1000], steps=400)
    settings = DetectionSettings(alpha=0.1, scores=["top_features"], bank_size=100)
    detector = Detector.fit(model, x[:1000], x[1000:1300], x[1300:1500], settings)
    bad = x[1500:1560].clone()
    bad[:, 0, 2:4, 5:7] = 1 - bad[:, 0, 2:4, 5:7]
    heat = detector.explain(bad, torch.arange(60)).heat
    torch.testing.assert_close(heat.sum((1, 2)), torch.ones(60).double())
    assert heat[:, 2:4, 5:7].sum((1, 2)).median() > 5 * 4 / 64
    logged: list[str] = []
    tracker: Any = SimpleNamespace(directory=tmp_path, log_file=lambda path: logged.append(path.name))
    assert explain_alarms(detector, torch.zeros(0, 1, 8, 8), tracker, "t") == []
    (path,) = explain_alarms(detector, bad, tracker, "t")
    assert logged == ["alarms.md"]
    assert re.search(
        r"\| pixel \d \d is \S+ and not \S+ \(\d+%\); .*\| pixel \d \d \d", (tmp_path / "alarms.md").read_text()
    )
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 200
