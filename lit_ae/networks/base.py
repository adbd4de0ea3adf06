"""The shape of the function: an encoder and a decoder built from a spec."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.networks.tokens import Tokens
from lit_ae.spec import DataSpec, Kind

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"]
Normalization = Literal["none", "batch", "layer", "group"]
Initialization = Literal[
    "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal"
]

Skips = tuple[Tensor, ...]
"""What a decoder is given of x beside the code, ``(N, ...)`` each; none for most networks, and never a must."""

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
NONLINEARITIES = tuple(kind for kind in _ACTIVATIONS.values() if kind is not nn.Identity)


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

    encoding: tuple[str, ...] = ("encoder",)
    """The attributes whose parameters belong to the encoder; all others are the decoder's."""

    has_skips = False
    """Whether :meth:`encode_with_skips` gives any."""

    caution: str | None = None
    """One sentence for the user at the start of a training."""

    expected: Callable[[Tensor], Tensor]
    """Makes x of outputs, also of one step's alone: the likelihood's mean, set by the model, for decoders that feed
    their own output back."""

    def __init__(self, spec: DataSpec, sizes: Sizes):
        super().__init__()
        if spec.kind not in self.kinds:
            raise UserError(
                f"{type(self).__name__} is made for {' and '.join(self.kinds)} data, and {spec.name} is of kind "
                f"{spec.kind}: use --model.network MLP."
            )
        self.shape, self.sizes = spec.shape, sizes
        self.expected = _first_output

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """``(N, *spec.shape)`` to ``(N, latent_parameters * latent_dim)``."""

    def encode_with_skips(self, x: Tensor) -> tuple[Tensor, Skips]:
        """What :meth:`encode` gives, and what goes to the decoder past the code."""
        return self.encode(x), ()

    @abstractmethod
    def decode(self, z: Tensor, target: Tensor | None = None, skips: Skips = ()) -> Tensor:
        """``(N, latent_dim)`` to ``(N, outputs_per_feature, *spec.shape)``.

        Args:
            z: the codes.
            target: in training, what is to come out: for decoders that see it shifted (teacher forcing).
            skips: what :meth:`encode_with_skips` gave beside the code; without it the code alone must do.
        """

    def generate(self, z: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """x ``(N, *spec.shape)`` for codes ``(N, latent_dim)``, drawn by ``draw`` from the outputs."""
        return draw(self.decode(z))


class MaskableNetwork(Network):
    """A network whose encoder can be shown some of x's tokens alone.

    Attributes:
        tokens: how x is cut.
    """

    tokens: Tokens

    @abstractmethod
    def encode_visible(self, x: Tensor, seen: Tensor) -> Tensor:
        """Encodes the tokens at the places ``seen`` and touches no other.

        Args:
            x: ``(N, *spec.shape)``.
            seen: places of tokens, ``(N, K)``, int64; -1 stands for none.
        """


def maskable(network: Network) -> MaskableNetwork:
    """The network itself.

    Raises:
        UserError: its encoder must see all of x, or x is a single token.
    """
    if not isinstance(network, MaskableNetwork):
        raise UserError(f"{type(network).__name__} can't see a part of x alone: use --model.network Transformer.")
    if network.tokens.count < 2:
        raise UserError("A sample of a single token can't be seen in part: lower model.network.patch.")
    return network


def _first_output(outputs: Tensor) -> Tensor:
    return outputs[:, 0]


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
    """Draws the weights of all linear, convolutional and recurrent layers anew; ``default`` leaves PyTorch's.

    Biases become zero; a recurrent layer's weights are drawn gate by gate.
    """
    if name == "default":
        return
    draw = getattr(nn.init, f"{name}_")
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.RNNBase):
            for weight in layer.parameters(recurse=False):
                for gate in weight.chunk(len(weight) // layer.hidden_size):
                    (draw if gate.ndim > 1 else nn.init.zeros_)(gate)


def check_share(option: str, share: float) -> None:
    if not 0 <= share < 1:
        raise UserError(f"{option} must lie in [0, 1), not {share}.")


def check_widths(option: str, widths: list[int]) -> None:
    if any(width < 1 for width in widths):
        raise UserError(f"{option} must hold positive widths, not {widths}.")
