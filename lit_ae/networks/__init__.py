"""The shape of the function: networks, each an encoder and a decoder built from a spec."""

from lit_ae.networks.base import MaskableNetwork, Network, Sizes
from lit_ae.networks.conv import Conv
from lit_ae.networks.mlp import MLP
from lit_ae.networks.recurrent import Recurrent
from lit_ae.networks.residual import Residual
from lit_ae.networks.transformer import Transformer
from lit_ae.networks.unet import UNet

__all__ = ["MLP", "Conv", "MaskableNetwork", "Network", "Recurrent", "Residual", "Sizes", "Transformer", "UNet"]
