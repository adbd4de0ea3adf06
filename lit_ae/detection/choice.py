"""Which scores are combined: those that tell normal rows from synthetic anomalies best."""

from statistics import mean

import torch
from torch import Tensor

WORTH = 0.002  # mean AUROC that one more score must add


def choose(normal: Tensor, anomalies: dict[str, Tensor], fixed: bool = False) -> tuple[list[int], dict[str, float]]:
    """The columns whose mean is good, and its AUROC on each kind of anomaly.

    Begins with the best column by mean AUROC over the kinds, and takes in the best other one as long as that adds
    ``WORTH``.

    Args:
        normal: scores of normal rows on one scale, ``(N, scores)``.
        anomalies: those of the synthetic ones by kind.
        fixed: whether all columns are taken.
    """

    def reached(columns: list[int]) -> dict[str, float]:
        return {kind: auroc(normal[:, columns].mean(1), bad[:, columns].mean(1)) for kind, bad in anomalies.items()}

    chosen = list(range(normal.shape[1])) if fixed else []
    best = reached(chosen) if fixed else {"": 0.0}
    while len(chosen) < normal.shape[1]:
        more = [[*chosen, column] for column in range(normal.shape[1]) if column not in chosen]
        found = [reached(columns) for columns in more]
        place = max(range(len(more)), key=lambda one: sum(found[one].values()))
        if mean(found[place].values()) < mean(best.values()) + WORTH:
            break
        chosen, best = more[place], found[place]
    return sorted(chosen), best


def auroc(normal: Tensor, anomalous: Tensor) -> float:
    """The probability that an anomaly scores above a normal row."""
    from sklearn.metrics import roc_auc_score

    labels = torch.cat([torch.zeros(len(normal)), torch.ones(len(anomalous))])
    return float(roc_auc_score(labels.numpy(), torch.cat([normal, anomalous]).numpy()))
