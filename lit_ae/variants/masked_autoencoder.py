"""The masked autoencoder."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.networks import MaskableNetwork, Network, Sizes, Transformer
from lit_ae.networks.base import maskable
from lit_ae.networks.tokens import draw_visible, places
from lit_ae.spec import DataSpec


class MaskedAutoencoder(LitAutoencoder):
    """Encodes what a random mask leaves visible and is judged on what it hides (He et al. 2022, section 3).

    Patches of an image, steps of a sequence or cells of a row are hidden; at inference none, but see :meth:`fill_in`.

    Args:
        spec: what the data is; handed over by the data module.
        mask_ratio: share of a sample's tokens that is hidden in training; at least one is, and at least one is not.
        network: encoder and decoder; the encoder must work on visible tokens alone.
    """

    network: MaskableNetwork

    def __init__(
        self,
        spec: DataSpec,
        *,
        mask_ratio: float = 0.75,
        network: Callable[[DataSpec, Sizes], Network] = Transformer,
        **kwargs: Any,
    ):
        super().__init__(spec, network=network, **kwargs)
        if not 0 < mask_ratio < 1:
            raise UserError(f"model.mask_ratio must lie between 0 and 1, not at {mask_ratio}.")
        if not self.likelihood.is_by_feature:
            raise UserError("MaskedAutoencoder judges feature by feature: use a likelihood such as Poisson.")
        self.network, self.visible_share = maskable(self.network), 1 - mask_ratio

    def forward_pass(self, x: Tensor, inputs: Tensor) -> Pass[Any]:
        """The log-likelihood is that of the hidden features alone, each judged as a sample of its own."""
        seen, hidden = self.draw_mask(x)
        latent = self.latent(self.network.encode_visible(inputs, seen))
        each = self.likelihood.log_prob_by_feature(self.network.decode(latent.mean, target=x), x)
        of_hidden = (each * self.network.tokens.spread(hidden).flatten(1)).sum(1)
        return Pass(x, inputs, latent, latent.sample(), of_hidden[None], {"hidden": hidden})

    def draw_mask(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Places ``(N, K)`` of the tokens that are seen, and which are hidden ``(N, tokens)``; padding is neither."""
        tokens = self.network.tokens
        return draw_visible(tokens.real(tokens.split(x)), self.visible_share)

    def fill_in(self, x: Tensor, hidden: Tensor) -> Tensor:
        """``x`` with what is expected in place of its ``hidden`` tokens ``(N, tokens)``, which are not looked at."""
        tokens = self.network.tokens
        code = self.network.encode_visible(x, places(~hidden, tokens.count))
        return torch.where(tokens.spread(hidden), self.decode(self.latent(code).mean), x)
