"""The two linear layers at a code, seen as a dictionary: each unit has a direction that it adds to what is decoded."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lit_ae.networks.base import Network


class UnitColumns(nn.Module):
    """Keeps the columns of a weight at length 1; gradients are those on the sphere."""

    def forward(self, weight: Tensor) -> Tensor:
        lengths = weight.new_ones(1, weight.shape[1])
        return torch._weight_norm(weight, lengths, 1)  # F.normalize takes eight times as long over the columns


def start_as_dictionary(network: Network, length: float) -> None:
    """Starts the layer that reads the code as the one that writes it, transposed, and keeps its columns at length 1.

    So a unit's activation has a scale that no penalty can shrink away (Bricken et al. 2023; Gao et al. 2024, appendix
    A). Where a network's decoder doesn't begin with a linear layer, or has tied weights, nothing is changed.

    Args:
        network: encoder and decoder.
        length: of the rows that write the code, at the start.
    """
    writer, reader = _layers(getattr(network, "encoder", None)), _layers(getattr(network, "decoder", None))
    units = network.sizes.latent_dim
    if not reader or not isinstance(reader[0], nn.Linear) or reader[0].in_features != units:
        return
    if writer and isinstance(writer[-1], nn.Linear) and writer[-1].weight.shape == reader[0].weight.T.shape:
        directions = F.normalize(writer[-1].weight.data, dim=1)
        writer[-1].weight.data = length * directions
        reader[0].weight.data = directions.T.clone()
    parametrize.register_parametrization(reader[0], "weight", UnitColumns())


def _layers(part: nn.Module | None) -> list[nn.Module]:
    """The layers with weights of their own, first to last."""
    return [layer for layer in part.modules() if list(layer.parameters(recurse=False))] if part is not None else []
