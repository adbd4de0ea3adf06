"""Working through a split in pieces that fit memory."""

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def in_chunks(
    function: Callable[[Tensor], Tensor], x: Tensor, rows: int = 1000, device: torch.device | None = None
) -> Tensor:
    """``function`` of ``x`` by pieces of ``rows`` samples on ``device``; the results, joined, on the CPU."""
    pieces = [function(piece.to(device) if device else piece).cpu() for piece in x.split(rows)]
    return torch.cat(pieces)
