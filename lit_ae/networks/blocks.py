"""What residual networks are built of."""

from typing import NamedTuple

from torch import Tensor, nn

from lit_ae.networks.attention import SelfAttention
from lit_ae.networks.base import Activation, Normalization, activation, normalization


class Style(NamedTuple):
    """What all blocks of a network have in common.

    Attributes:
        activation: the non-linearity.
        normalization: what stands before it.
        dropout: share of a block's hidden units dropped in training.
        gate: whether blocks weigh their channels (squeeze and excitation).
        is_image: whether they work on images ``(N, C, H, W)`` or on vectors ``(N, W)``.
    """

    activation: Activation
    normalization: Normalization
    dropout: float
    gate: bool
    is_image: bool

    def layer(self, narrow: int, wide: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        """A linear layer, or a convolution that keeps height and width up to its stride."""
        return nn.Conv2d(narrow, wide, kernel, stride, kernel // 2) if self.is_image else nn.Linear(narrow, wide)

    def before(self, width: int) -> list[nn.Module]:
        """Normalisation and activation."""
        return [normalization(self.normalization, width, 2 if self.is_image else 0), activation(self.activation)]


class ResidualBlock(nn.Module):
    """Two layers beside a shortcut, each after its normalisation and activation (He et al. 2016, Identity Mappings).

    Args:
        narrow: channels that come in.
        wide: channels that go out.
        style: what it has in common with the others.
        stride: 2 halves height and width (rounded up).
    """

    def __init__(self, narrow: int, wide: int, style: Style, stride: int = 1):
        super().__init__()
        first = style.layer(narrow, wide, stride=stride)
        second = style.layer(wide, wide)
        drop = [nn.Dropout(style.dropout)] if style.dropout else []
        gate = [SqueezeExcitation(wide)] if style.gate else []
        self.body = nn.Sequential(*style.before(narrow), first, *style.before(wide), *drop, second, *gate)
        same = narrow == wide and stride == 1
        self.shortcut = nn.Identity() if same else style.layer(narrow, wide, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class SqueezeExcitation(nn.Module):
    """Weighs each channel by a gate that sees the mean of all (Hu et al. 2018, equations 2 to 4).

    Args:
        width: channels.
        reduction: how many times narrower the gate's hidden layer is.
    """

    def __init__(self, width: int, reduction: int = 4):
        super().__init__()
        hidden = max(1, width // reduction)
        self.gate = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        gates = self.gate(x.flatten(2).mean(2) if x.ndim == 4 else x)
        return x * (gates[:, :, None, None] if x.ndim == 4 else gates)


class GridAttention(nn.Module):
    """Self-attention between all places of a grid ``(N, C, H, W)``, beside a shortcut.

    Args:
        width: channels.
    """

    def __init__(self, width: int):
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads=next(heads for heads in (4, 2, 1) if width % heads == 0))

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2).transpose(1, 2)
        return x + self.attention(self.before(places)).transpose(1, 2).unflatten(2, x.shape[2:])
