"""Sliding windows over rows in time order."""

import torch
from torch import Tensor


def window_rows(entity: Tensor, steps: int, stride: int = 1) -> Tensor:
    """The row numbers of every window ``(windows, steps)``, int64; no window holds rows of two entities.

    A window's place is that of its last row, so the first ``steps - 1`` rows of an entity are the end of none.

    Args:
        entity: which series each row belongs to ``(N,)``; the rows of one stand in time order.
        steps: rows of a window.
        stride: rows from one window of a series to its next.
    """
    order = entity.argsort(stable=True)
    if len(order) < steps:
        return order.new_empty(0, steps)
    windows = order.unfold(0, steps, 1)
    sorted_entity = entity[order]
    begins = torch.searchsorted(sorted_entity, sorted_entity[: len(windows)])
    is_whole = sorted_entity[: len(windows)] == sorted_entity[steps - 1 :]
    is_due = (torch.arange(len(windows)) - begins) % stride == 0
    return windows[is_whole & is_due]
