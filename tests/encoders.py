"""A packed model whose encoder a perceptual term can look through, made once a process."""

import functools
import tempfile
from functools import partial
from pathlib import Path

import lightning as L

from data import Digits
from lit_ae.extra_terms import Perceptual
from lit_ae.networks import Conv
from lit_ae.serving.package import package
from lit_ae.spec import DataSpec
from lit_ae.variants import VAE

_scratch = tempfile.TemporaryDirectory(prefix="lit_ae_")


@functools.cache
def packed_encoder() -> str:
    """The folder of a small convolutional VAE of digits."""
    L.seed_everything(4, verbose=False)
    model = VAE(Digits().spec, latent_dim=5, network=partial(Conv, channels=[3, 6]))
    package(model, Digits().rows["test"].raw[:2].numpy(), Path(_scratch.name) / "model", {})
    return f"{_scratch.name}/model"


def perceptual(spec: DataSpec) -> Perceptual:
    """The term by that encoder."""
    return Perceptual(spec, packed_encoder(), weight=2.0)
