"""Strided convolutions."""

import itertools

from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.networks.base import (
    Activation,
    Network,
    Normalization,
    Sizes,
    Skips,
    activation,
    check_widths,
    normalization,
)
from lit_ae.spec import DataSpec


class Conv(Network):
    """Convolutions that halve the image at every layer, and transposed ones that double it. Any size, any channels.

    Args:
        spec: the data; shapes come from it.
        sizes: what the variant and the likelihood ask for.
        channels: output channels of the layers, from x to z; each layer halves height and width (rounded up).
        kernel_size: an odd number of pixels.
        hidden: width of a fully connected layer between the last convolution and the code; 0 for none.
        activation: the hidden layers' non-linearity.
        normalization: what stands before it.
    """

    kinds = ("image",)

    def __init__(
        self,
        spec: DataSpec,
        sizes: Sizes,
        channels: list[int] = [32, 64],  # noqa: B006 - never changed, and shown as the default
        kernel_size: int = 3,
        hidden: int = 0,
        activation: Activation = "relu",
        normalization: Normalization = "none",
    ):
        super().__init__(spec, sizes)
        check_widths("model.network.channels", channels)
        if not channels or kernel_size < 1 or kernel_size % 2 == 0 or hidden < 0:
            raise UserError("Conv needs at least one layer, an odd kernel_size and hidden >= 0.")
        grids = [spec.shape[1:]]
        for _ in channels:
            grids.append(tuple((side + 1) // 2 for side in grids[-1]))
        top = (channels[-1], *grids[-1])
        widths = [spec.shape[0], *channels]
        between = (activation, normalization)
        code = sizes.latent_parameters * sizes.latent_dim
        self.encoder = nn.Sequential(
            *_down(widths, kernel_size, *between), nn.Flatten(), *_code(top, hidden, code, between)
        )
        back = [*reversed(channels), sizes.outputs_per_feature * spec.shape[0]]
        self.decoder = nn.Sequential(
            *_seed(sizes.latent_dim, hidden, top, between), *_up(back, grids[::-1], kernel_size, *between)
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor, target: Tensor | None = None, skips: Skips = ()) -> Tensor:
        return self.decoder(z).unflatten(1, (self.sizes.outputs_per_feature, self.shape[0]))


def _after(width: int, act: Activation, norm: Normalization, dimensions: int) -> list[nn.Module]:
    extra = [normalization(norm, width, 2 if dimensions else 0)] if norm != "none" else []
    return [*extra, activation(act)]


def _down(widths: list[int], kernel: int, act: Activation, norm: Normalization) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for narrow, wide in itertools.pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, kernel, stride=2, padding=kernel // 2), *_after(wide, act, norm, 2)]
    return layers


def _code(top: tuple[int, ...], hidden: int, code: int, between: tuple[Activation, Normalization]) -> list[nn.Module]:
    flat = top[0] * top[1] * top[2]
    if not hidden:
        return [nn.Linear(flat, code)]
    return [nn.Linear(flat, hidden), *_after(hidden, *between, 0), nn.Linear(hidden, code)]


def _seed(latent: int, hidden: int, top: tuple[int, ...], between: tuple[Activation, Normalization]) -> list[nn.Module]:
    flat = top[0] * top[1] * top[2]
    first = [nn.Linear(latent, hidden), *_after(hidden, *between, 0)] if hidden else []
    return [*first, nn.Linear(hidden or latent, flat), nn.Unflatten(1, top), *_after(top[0], *between, 2)]


def _up(
    widths: list[int], grids: list[tuple[int, ...]], kernel: int, act: Activation, norm: Normalization
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, (wide, narrow) in enumerate(itertools.pairwise(widths)):
        odd = (1 - grids[i + 1][0] % 2, 1 - grids[i + 1][1] % 2)
        layers.append(nn.ConvTranspose2d(wide, narrow, kernel, stride=2, padding=kernel // 2, output_padding=odd))
        if i < len(widths) - 2:
            layers += _after(narrow, act, norm, 2)
    return layers
