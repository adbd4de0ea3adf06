"""How much a series repeats itself, and the blocks that its rows are calibrated by."""

import math

import torch
from torch import Tensor


def correlation_time(scores: Tensor) -> float:
    """How many rows of a series say as much as one independent row: 1 + 2 · the sum of its autocorrelations.

    Summed over pairs of lags while a pair's sum is positive (Geyer 1992, initial positive sequence).

    Args:
        scores: of one series in time order ``(n,)``.
    """
    rows = len(scores)
    centred = scores.double() - scores.double().mean()
    if rows < 4 or not centred.abs().max() > 0:
        return 1.0
    spectrum = torch.fft.rfft(centred, 2 * rows).abs().square()
    correlation = torch.fft.irfft(spectrum)[:rows] / centred.square().sum()
    pairs = correlation[: rows - rows % 2].view(-1, 2).sum(1)
    negative = (pairs <= 0).nonzero()
    stop = int(negative[0]) if len(negative) else len(pairs)
    return max(1.0, float(2 * pairs[:stop].sum() - 1))


def blocks_in_time(scores: Tensor, entity: Tensor | None) -> tuple[Tensor, float]:
    """The number of each row's block ``(n,)``, and the length of a block in rows.

    Args:
        scores: of calibration rows, those of one entity in time order ``(n,)``.
        entity: which series each row belongs to ``(n,)``; None for a single one.
    """
    series = torch.zeros(len(scores), dtype=torch.long) if entity is None else entity.unique(return_inverse=True)[1]
    members = [(series == one).nonzero().flatten() for one in range(int(series.max()) + 1)]
    times = torch.tensor([correlation_time(scores[rows]) for rows in members], dtype=torch.float64)
    sizes = torch.tensor([len(rows) for rows in members], dtype=torch.float64)
    length = math.ceil(float((times * sizes).sum() / sizes.sum()))
    blocks, begun = torch.empty_like(series), 0
    for rows in members:
        count = max(1, len(rows) // length)
        blocks[rows] = begun + torch.arange(len(rows)) * count // len(rows)
        begun += count
    return blocks, float(length)
