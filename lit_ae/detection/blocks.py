"""Scoring in blocks of one fixed size, so that a row's figures do not depend on what stands beside it.

A matrix product of another height may add in another order, and its last bits differ; the rows of blocks of one height
are all treated alike.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lit_ae.preprocessing import Preprocessing

BLOCK = 256  # rows


@torch.no_grad()
def in_blocks(function: Callable[[Tensor], Mapping[str, Tensor]], x: Tensor) -> dict[str, Tensor]:
    """``function`` of ``x`` by blocks of exactly ``BLOCK`` rows (the last one filled up), joined under each name."""
    pieces = [_cut(function(_filled(piece)), len(piece)) for piece in (x.split(BLOCK) if len(x) else [x])]
    return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}


def model_space(preprocessing: Preprocessing, raw: Tensor) -> Tensor:
    """Rows of the user's units ``(N, ...)`` in model space, each the same bits whatever stands beside it."""
    return in_blocks(lambda rows: {"x": preprocessing.apply(rows)}, raw)["x"]


def _filled(piece: Tensor) -> Tensor:
    lacking = BLOCK - len(piece)
    return torch.cat([piece, piece.new_zeros(lacking, *piece.shape[1:])]) if lacking else piece.contiguous()


def _cut(figures: Mapping[str, Tensor], rows: int) -> dict[str, Tensor]:
    return {name: values[:rows] for name, values in figures.items()}
