"""A U-Net: residual blocks, and skips between encoder and decoder."""

from typing import Any

import torch
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.networks.base import Sizes, Skips, check_share
from lit_ae.networks.residual import Residual
from lit_ae.spec import DataSpec


class UNet(Residual):
    """A residual network whose decoder also sees every level of the encoder but the last (Ronneberger et al. 2015).

    The skips are handed over with the latent and kept nowhere. Without them, as for samples and traversals, the decoder
    sees zeros in their place; ``skip_dropout`` makes it learn to.

    Args:
        spec: the data; shapes come from it.
        sizes: what the variant and the likelihood ask for.
        skips: false drops them, and leaves a Residual network.
        skip_dropout: share of the samples whose skips are dropped in training.
    """

    kinds = ("image",)

    def __init__(self, spec: DataSpec, sizes: Sizes, *, skips: bool = True, skip_dropout: float = 0.0, **kwargs: Any):
        self.has_skips = skips
        check_share("model.network.skip_dropout", skip_dropout)
        super().__init__(spec, sizes, **kwargs)
        if skips and not len(self.up):
            raise UserError("One level has no skip: give model.network.channels two or more, or set skips to false.")
        self.skip_dropout = skip_dropout
        if skips:
            self.caution = (
                "UNet's skips lead past the code, which defeats compression and detection: "
                "set model.network.skips to false for these."
            )

    def encode_with_skips(self, x: Tensor) -> tuple[Tensor, Skips]:
        code, skips = super().encode_with_skips(x)
        if self.training and self.skip_dropout and skips:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.skip_dropout
            skips = tuple(skip * kept for skip in skips)
        return code, skips

    def decode(self, z: Tensor, target: Tensor | None = None, skips: Skips = ()) -> Tensor:
        if self.has_skips and not skips:
            skips = tuple(z.new_zeros(len(z), *level) for level in self.levels[:-1])
        return super().decode(z, target, skips)
