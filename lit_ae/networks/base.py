"""The shape of the function: an encoder and a decoder built from a spec."""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, get_args

from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.spec import DataSpec, Kind

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"]
Normalization = Literal["none", "batch", "layer", "group"]
Initialization = Literal[
    "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal"
]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


class Sizes(NamedTuple):
    """What a variant and a likelihood ask of a network.

    Attributes:
        latent_dim: numbers in a code z.
        latent_parameters: numbers that the encoder gives for each of them (2 for a mean and a variance).
        outputs_per_feature: numbers that the decoder gives for each feature of x.
    """

    latent_dim: int
    latent_parameters: int = 1
    outputs_per_feature: int = 1


class Network(nn.Module, ABC):
    """Encoder and decoder for data of some kinds.

    Args:
        spec: the data; shapes come from it.
        sizes: what the variant and the likelihood ask for.
    """

    kinds: tuple[Kind, ...] = get_args(Kind)

    def __init__(self, spec: DataSpec, sizes: Sizes):
        super().__init__()
        if spec.kind not in self.kinds:
            raise UserError(
                f"{type(self).__name__} is made for {' and '.join(self.kinds)} data, and {spec.name} is of kind "
                f"{spec.kind}: use --model.network MLP."
            )
        self.shape, self.sizes = spec.shape, sizes

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """``(N, *spec.shape)`` to ``(N, latent_parameters * latent_dim)``."""

    @abstractmethod
    def decode(self, z: Tensor, target: Tensor | None = None) -> Tensor:
        """``(N, latent_dim)`` to ``(N, outputs_per_feature, *spec.shape)``.

        Args:
            z: the codes.
            target: in training, what is to come out: for decoders that see it shifted (teacher forcing).
        """


def activation(name: Activation) -> nn.Module:
    return _ACTIVATIONS[name]()


def normalization(name: Normalization, width: int, dimensions: Literal[0, 2]) -> nn.Module:
    """A normalisation over ``width`` channels of vectors (0) or images (2)."""
    if name == "batch":
        return nn.BatchNorm2d(width) if dimensions else nn.BatchNorm1d(width)
    if name == "layer":
        return nn.GroupNorm(1, width) if dimensions else nn.LayerNorm(width)
    if name == "group":
        groups = next(g for g in (8, 4, 2, 1) if width % g == 0)
        return nn.GroupNorm(groups, width)
    return nn.Identity()


def initialize(module: nn.Module, name: Initialization) -> None:
    """Draws the weights of all linear and convolutional layers anew, biases zero; ``default`` leaves PyTorch's."""
    if name == "default":
        return
    draw = getattr(nn.init, f"{name}_")
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def check_widths(option: str, widths: list[int]) -> None:
    if any(width < 1 for width in widths):
        raise UserError(f"{option} must hold positive widths, not {widths}.")
