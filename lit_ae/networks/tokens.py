"""Samples as rows of tokens: patches of an image, steps of a series or sequence, cells of a table's row."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.spec import DataSpec


class Tokens:
    """Cuts samples into tokens and joins them again.

    Args:
        spec: the data.
        patch: height and width of an image's patches; at the right and lower edge they may reach beyond the image.

    Attributes:
        count: tokens in a sample.
        width: numbers in a token.
    """

    def __init__(self, spec: DataSpec, patch: tuple[int, int] = (1, 1)):
        self.shape, self.is_image, self.pad, self.patch = spec.shape, spec.kind == "image", spec.pad, patch
        if self.is_image:
            channels, *sides = spec.shape
            self.grid = [-(-side // size) for side, size in zip(sides, patch, strict=True)]
            self.count, self.width = self.grid[0] * self.grid[1], channels * patch[0] * patch[1]
        else:
            self.count, self.width = spec.shape[0], spec.features // spec.shape[0]

    def split(self, x: Tensor) -> Tensor:
        """``(N, *shape)`` to ``(N, count, width)``; series and sequences may be shorter than ``shape`` says."""
        if not self.is_image:
            return x.unflatten(1, (-1, 1)) if x.ndim == 2 else x
        (height, width), (rows, columns) = self.patch, self.grid
        beyond = (0, columns * width - x.shape[3], 0, rows * height - x.shape[2])
        return F.unfold(F.pad(x, beyond), self.patch, stride=self.patch).transpose(1, 2).contiguous()

    def join(self, tokens: Tensor) -> Tensor:
        """``(N, count, outputs * width)`` to ``(N, outputs, *shape)``."""
        outputs = tokens.shape[2] // self.width
        if not self.is_image:
            return tokens.unflatten(2, (outputs, self.width)).transpose(1, 2).reshape(-1, outputs, *self.shape)
        (height, width), (rows, columns) = self.patch, self.grid
        whole = F.fold(tokens.transpose(1, 2), (rows * height, columns * width), self.patch, stride=self.patch)
        channels, *sides = self.shape
        return whole[:, :, : sides[0], : sides[1]].unflatten(1, (outputs, channels))

    def real(self, tokens: Tensor) -> Tensor:
        """Which tokens ``(N, count, width)`` are not padding: bool, ``(N, count)``."""
        if self.pad is None:
            return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return (tokens != self.pad).any(2)

    def spread(self, chosen: Tensor) -> Tensor:
        """Which features ``(N, *shape)`` belong to the chosen tokens ``(N, count)``, bool both."""
        return self.join(chosen[:, :, None].float().expand(-1, -1, self.width))[:, 0] > 0


class TokenEmbedding(nn.Module):
    """Tokens ``(N, count, tokens.width)`` to vectors ``(N, count, width)``: a table for ids, else a linear map.

    Args:
        spec: the data.
        tokens: how it is cut.
        width: numbers in a vector.

    Raises:
        UserError: a sequence without a vocabulary.
    """

    def __init__(self, spec: DataSpec, tokens: Tokens, width: int):
        super().__init__()
        if spec.kind == "sequence" and not spec.vocabulary:
            raise UserError(f"{spec.name} is a sequence without a vocabulary: give its spec one, or use kind series.")
        self.takes_ids = spec.kind == "sequence"
        self.map = nn.Embedding(len(spec.vocabulary), width) if self.takes_ids else nn.Linear(tokens.width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.map(tokens[:, :, 0].long() if self.takes_ids else tokens)


def take(tokens: Tensor, places: Tensor) -> Tensor:
    """The tokens ``(N, count, width)`` at the places ``(N, K)``: ``(N, K, width)``."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))


def places(chosen: Tensor, most: int) -> Tensor:
    """Where ``chosen`` ``(N, count)`` is true, in order: ``(N, most)``, int64, filled up with -1."""
    order = (~chosen).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    return order.where(torch.arange(most, device=chosen.device) < chosen.sum(1, keepdim=True), -1)


def draw_visible(real: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Draws a share of each sample's ``real`` tokens ``(N, count)``, at least one and not all.

    Returns:
        their places ``(N, K)``, int64, filled up with -1, and which of the other tokens are real, ``(N, count)``.
    """
    most = min(max(1, round(share * real.shape[1])), real.shape[1] - 1)
    few = (real.sum(1, keepdim=True) * share).round().clamp(1, most)
    ranks = torch.rand(real.shape, device=real.device).masked_fill(~real, 2.0).argsort(1).argsort(1)
    seen = (ranks < few) & real
    return places(seen, most), real & ~seen
