"""Sequences without a model: what the tokens before alone tell of the next."""

from collections import Counter, defaultdict

import numpy as np
import torch
from torch import Tensor


class NGrams:
    """The training rows' counts of each token after the tokens before it, as far back as ``order - 1`` places.

    Args:
        rows: training ids ``(N, T)``, each ended by the id ``end``.
        order: tokens that are counted together; 1 forgets all that went before.
        end: the id that ends a sequence.
    """

    def __init__(self, rows: Tensor, order: int, end: int):
        self.order, self.end, self.length = order, end, rows.shape[1]
        self.counts: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for row in rows.long().tolist():
            ended = row[: row.index(end) + 1]
            for place, token in enumerate(ended):
                self.counts[self._before(ended, place)][token] += 1

    def _before(self, row: list[int], place: int) -> tuple[int, ...]:
        return tuple(row[max(0, place - self.order + 1) : place])

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Rows ``(count, T)`` drawn token by token, zeros behind the end; one that finds no end is cut off."""
        random = np.random.default_rng(seed)
        choices = {key: (list(seen), np.cumsum(list(seen.values()))) for key, seen in self.counts.items()}
        drawn = np.zeros((count, self.length))
        for row in drawn:
            ids: list[int] = []
            while len(ids) < self.length and ids[-1:] != [self.end]:
                tokens, totals = choices[self._before(ids, len(ids))]
                ids.append(tokens[int(np.searchsorted(totals, random.integers(totals[-1]), side="right"))])
            row[: len(ids)] = ids
        return torch.from_numpy(drawn)


def unigram_nats(rows: Tensor, test_rows: Tensor, tokens: int, pad: int) -> float:
    """Mean -log p in nats of a test row whose tokens are drawn independently with their shares among the training
    rows' (one added to each count), padding left out: what any model of order must beat.
    """
    counts = torch.bincount(rows.long().flatten(), minlength=tokens).double() + 1
    counts[pad] = 0
    nats = -(counts / counts.sum()).log()
    nats[pad] = 0
    return nats[test_rows.long()].sum(1).mean().item()
