"""Models with weights of their own, packed once for all tests of this folder."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import lightning as L
import mlflow
import numpy as np
import pytest
import torch
from mlflow.pyfunc import PyFuncModel

from data import MNIST, Digits
from data.base import LitData
from lit_ae.likelihoods import Bernoulli
from lit_ae.module import LitAutoencoder
from lit_ae.networks import MLP, Conv
from lit_ae.serving.package import package
from lit_ae.variants import VAE, Autoencoder


class Packed(NamedTuple):
    """A model in memory, and the same one packed."""

    model: LitAutoencoder
    directory: Path

    @property
    def loaded(self) -> PyFuncModel:
        return mlflow.pyfunc.load_model(str(self.directory))

    def in_memory(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Every output, computed by the model itself."""
        model, way = self.model, self.model.spec.preprocessing
        with torch.no_grad():
            x = way.apply(torch.from_numpy(raw))
            outputs = {
                "latent": model.encode(x),
                "reconstruction": way.invert(model(x)),
                "error": (model(x) - x).square().flatten(1).mean(1),
            }
            if model.prior is not None:
                outputs["sample"] = way.invert(model.sample(len(raw), torch.Generator().manual_seed(0)))
        return {name: value.numpy() for name, value in outputs.items()}


def pack(make, data: LitData, directory: Path) -> Packed:
    L.seed_everything(5, verbose=False)
    model = make(data.spec, latent_dim=6).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    package(model, raw_rows(model, 3), directory, {"variant": type(model).__name__})
    return Packed(model, directory)


def raw_rows(model: LitAutoencoder, count: int) -> np.ndarray:
    """Whole grey levels in the user's own units, from black to white."""
    white = model.spec.preprocessing.invert(torch.ones(())).item()
    rows = np.random.default_rng(3).integers(0, int(white) + 1, (count, *model.spec.shape))
    return rows.astype(np.float32)


@pytest.fixture(scope="session")
def vae(tmp_path_factory) -> Packed:
    make = partial(VAE, network=partial(Conv, channels=[4, 8]), likelihood=Bernoulli)
    return pack(make, Digits(), tmp_path_factory.mktemp("vae") / "model")


@pytest.fixture(scope="session")
def autoencoder(tmp_path_factory) -> Packed:
    make = partial(Autoencoder, network=partial(MLP, hidden=[32]))
    return pack(make, MNIST(), tmp_path_factory.mktemp("autoencoder") / "model")


@pytest.fixture(scope="session")
def binary_vae(tmp_path_factory) -> Packed:
    make = partial(VAE, network=partial(MLP, hidden=[32]), likelihood=Bernoulli)
    return pack(make, MNIST(binarize="threshold"), tmp_path_factory.mktemp("binary") / "model")


@pytest.fixture(params=["vae", "autoencoder", "binary_vae"])
def packed(request) -> Packed:
    """Each of the models in turn."""
    return request.getfixturevalue(request.param)
