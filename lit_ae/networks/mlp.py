"""Fully connected layers."""

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.networks.base import (
    Activation,
    Network,
    Normalization,
    Sizes,
    Skips,
    activation,
    check_share,
    check_widths,
    normalization,
)
from lit_ae.spec import DataSpec, Kind


class MLP(Network):
    """Fully connected encoder, and a decoder of the same widths in reverse. For all data that are numbers.

    Args:
        spec: the data; shapes come from it.
        sizes: what the variant and the likelihood ask for.
        hidden: widths of the hidden layers, from x to z; an empty list gives a linear map.
        activation: the hidden layers' non-linearity.
        normalization: what stands before it.
        dropout: share of hidden units dropped in training.
        tied: the decoder's weights are the encoder's, transposed; its biases are its own.
    """

    kinds: tuple[Kind, ...] = ("image", "table", "series")

    def __init__(
        self,
        spec: DataSpec,
        sizes: Sizes,
        hidden: list[int] = [512, 256],  # noqa: B006 - never changed, and shown as the default
        activation: Activation = "relu",
        normalization: Normalization = "none",
        dropout: float = 0.0,
        tied: bool = False,
    ):
        super().__init__(spec, sizes)
        check_widths("model.network.hidden", hidden)
        check_share("model.network.dropout", dropout)
        if tied and sizes.outputs_per_feature != 1:
            raise UserError("Tied weights give one output a feature: set model.network.tied to false.")
        widths = [spec.features, *hidden]
        between = (activation, normalization, dropout)
        self.encoder = _layers([*widths, sizes.latent_parameters * sizes.latent_dim], *between)
        back = [sizes.latent_dim, *reversed(hidden), sizes.outputs_per_feature * spec.features]
        self.decoder = _layers(back, *between)
        if tied:
            self._tie(sizes.latent_dim)

    def _tie(self, latent_dim: int) -> None:
        sources = [layer for layer in self.encoder if isinstance(layer, nn.Linear)]
        places = [i for i, layer in enumerate(self.decoder) if isinstance(layer, nn.Linear)]
        rows = [None] * (len(sources) - 1) + [latent_dim]
        for place, source, limit in zip(places, reversed(sources), reversed(rows), strict=True):
            self.decoder[place] = TransposedLinear(source, limit)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor, target: Tensor | None = None, skips: Skips = ()) -> Tensor:
        return self.decoder(z).unflatten(1, (self.sizes.outputs_per_feature, *self.shape))


class TransposedLinear(nn.Module):
    """A layer that uses another one's weight transposed, with a bias of its own.

    Args:
        source: the layer whose weight is used; it is not registered here a second time.
        rows: how many of its outputs are led back; None for all.
    """

    def __init__(self, source: nn.Linear, rows: int | None = None):
        super().__init__()
        self._source, self.rows = (source,), rows
        self.bias = nn.Parameter(source.weight.new_zeros(source.in_features))

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(z, self._source[0].weight[: self.rows].T, self.bias)


def _layers(widths: list[int], act: Activation, norm: Normalization, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (narrow, wide) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.Linear(narrow, wide))
        if i < len(widths) - 2:
            extra = [normalization(norm, wide, 0)] if norm != "none" else []
            layers += [*extra, activation(act)] + ([nn.Dropout(dropout)] if dropout else [])
    return nn.Sequential(*layers)
