"""The denoising autoencoder."""

from collections.abc import Callable
from typing import Any

from lit_ae.corruptions import Corruption, GaussianNoise
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.spec import DataSpec


class DenoisingAutoencoder(LitAutoencoder):
    """Reconstructs the clean x from a corrupted one (Vincent et al. 2008, section 2.3).

    Args:
        spec: what the data is; handed over by the data module.
        corruption: what is done to x before it is encoded: noise, masking, missing blocks (inpainting), lower
            resolution (super-resolution).
    """

    def __init__(self, spec: DataSpec, *, corruption: Callable[[DataSpec], Corruption] = GaussianNoise, **kwargs: Any):
        if corruption is None:
            raise UserError("DenoisingAutoencoder needs a corruption: name one, or use --model Autoencoder.")
        super().__init__(spec, corruption=corruption, **kwargs)
