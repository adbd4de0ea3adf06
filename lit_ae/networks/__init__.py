"""The shape of the function: networks, each an encoder and a decoder built from a spec."""

from lit_ae.networks.base import Network, Sizes
from lit_ae.networks.conv import Conv
from lit_ae.networks.mlp import MLP

__all__ = ["MLP", "Conv", "Network", "Sizes"]
