"""Residual blocks."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.networks.base import Activation, Network, Normalization, Sizes, Skips, check_share, check_widths
from lit_ae.networks.blocks import GridAttention, ResidualBlock, Style
from lit_ae.spec import DataSpec, Kind


class Residual(Network):
    """Pre-activation residual blocks: convolutions on images of any size, fully connected ones on rows and series.

    Args:
        spec: the data; shapes come from it.
        sizes: what the variant and the likelihood ask for.
        channels: channels of the levels, from x to z; an image keeps its height and width in the first and is halved
            (rounded up) by every other. For rows, the levels' widths.
        blocks: residual blocks of a level.
        attention: self-attention between all places of the last level's grid.
        squeeze_excitation: blocks weigh their channels by a gate.
        activation: the blocks' non-linearity.
        normalization: what stands before it.
        dropout: share of a block's hidden units dropped in training.
    """

    kinds: tuple[Kind, ...] = ("image", "table", "series")
    encoding = ("stem", "down", "code")

    def __init__(
        self,
        spec: DataSpec,
        sizes: Sizes,
        channels: list[int] = [16, 32, 64],  # noqa: B006 - never changed, and shown as the default
        blocks: int = 1,
        attention: bool = False,
        squeeze_excitation: bool = False,
        activation: Activation = "silu",
        normalization: Normalization = "group",
        dropout: float = 0.0,
    ):
        super().__init__(spec, sizes)
        self.is_image = spec.kind == "image"
        check_widths("model.network.channels", channels)
        check_share("model.network.dropout", dropout)
        if not channels or blocks < 1:
            raise UserError(f"{type(self).__name__} needs at least one level and one block a level.")
        if attention and not self.is_image:
            raise UserError(f"{spec.name} has no grid to attend over: set model.network.attention to false.")
        style = Style(activation, normalization, dropout, squeeze_excitation, self.is_image)
        grids = _grids(spec, len(channels))
        self.levels = [(width, *grid) for width, grid in zip(channels, grids, strict=True)]
        inputs, flat = (spec.shape[0] if self.is_image else spec.features), channels[-1] * _area(grids[-1])
        self.stem = style.layer(inputs, channels[0])
        self.down = _down(channels, blocks, style)
        look = [GridAttention(channels[-1])] if attention else []
        self.code = nn.Sequential(
            *look, *style.before(channels[-1]), nn.Flatten(),
            nn.Linear(flat, sizes.latent_parameters * sizes.latent_dim),
        )  # fmt: skip
        self.seed = nn.Linear(sizes.latent_dim, flat)
        self.first = nn.Sequential(
            *([GridAttention(channels[-1])] if attention else []), _level(channels[-1], channels[-1], blocks, style)
        )
        beside = channels[:-1] if self.has_skips else [0] * (len(channels) - 1)
        back = list(zip(channels[1:], beside, channels[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(_level(wide + skip, narrow, blocks, style) for wide, skip, narrow in back)
        outputs = sizes.outputs_per_feature * inputs
        self.head = nn.Sequential(*style.before(channels[0]), style.layer(channels[0], outputs))

    def encode(self, x: Tensor) -> Tensor:
        return self.encode_with_skips(x)[0]

    def encode_with_skips(self, x: Tensor) -> tuple[Tensor, Skips]:
        hidden = self.stem(x if self.is_image else x.flatten(1))
        levels = [hidden := level(hidden) for level in self.down]
        return self.code(hidden), tuple(levels[:-1]) if self.has_skips else ()

    def decode(self, z: Tensor, target: Tensor | None = None, skips: Skips = ()) -> Tensor:
        hidden = self.first(self.seed(z).view(-1, *self.levels[-1]))
        for i, level in enumerate(self.up):
            grid = self.levels[-2 - i][1:]
            hidden = F.interpolate(hidden, size=grid, mode="nearest") if grid else hidden
            hidden = level(torch.cat([hidden, skips[-1 - i]], dim=1) if skips else hidden)
        return self.head(hidden).view(len(z), self.sizes.outputs_per_feature, *self.shape)


def _grids(spec: DataSpec, levels: int) -> list[tuple[int, ...]]:
    """Height and width of each level; empty for rows."""
    grids = [spec.shape[1:] if spec.kind == "image" else ()]
    for _ in range(levels - 1):
        grids.append(tuple((side + 1) // 2 for side in grids[-1]))
    return grids


def _area(grid: tuple[int, ...]) -> int:
    return grid[0] * grid[1] if grid else 1


def _level(narrow: int, wide: int, blocks: int, style: Style, stride: int = 1) -> nn.Sequential:
    rest = [ResidualBlock(wide, wide, style) for _ in range(blocks - 1)]
    return nn.Sequential(ResidualBlock(narrow, wide, style, stride), *rest)


def _down(channels: list[int], blocks: int, style: Style) -> nn.ModuleList:
    """The encoder's levels."""
    first = _level(channels[0], channels[0], blocks, style)
    rest = (_level(narrow, wide, blocks, style, 2) for narrow, wide in itertools.pairwise(channels))
    return nn.ModuleList([first, *rest])
