"""Which scores are combined: those that tell normal rows from synthetic anomalies best."""

from statistics import mean

import torch
from torch import Tensor

HEDGE = 0.005  # mean AUROC that is given for one more score: real anomalies are not like the synthetic ones
ALIKE = 0.9999  # rank correlation on normal rows from which on two scores say the same


def choose(normal: Tensor, anomalies: dict[str, Tensor], fixed: bool = False) -> tuple[list[int], dict[str, float]]:
    """The columns whose mean is good, and its AUROC on each kind of anomaly.

    Begins with the best column by mean AUROC over the kinds and takes in the best other one, one after the other. Of
    these combinations the largest counts whose AUROC is within ``HEDGE`` of the best. A column that ranks rows as an
    earlier one does is left out.

    Args:
        normal: scores of normal rows on one scale, ``(N, scores)``.
        anomalies: those of the synthetic ones by kind.
        fixed: whether all columns are taken.
    """

    def reached(columns: list[int]) -> dict[str, float]:
        return {kind: auroc(normal[:, columns].mean(1), bad[:, columns].mean(1)) for kind, bad in anomalies.items()}

    if fixed:
        columns = list(range(normal.shape[1]))
        return columns, reached(columns)
    left, path = distinct(normal), list[tuple[list[int], dict[str, float]]]([([], {"": 0.0})])
    while left:
        found = {column: reached([*path[-1][0], column]) for column in left}
        best = max(left, key=lambda column: mean(found[column].values()))
        path.append(([*path[-1][0], best], found[best]))
        left.remove(best)
    top = max(mean(aurocs.values()) for _, aurocs in path)
    columns, aurocs = [step for step in path if mean(step[1].values()) >= top - HEDGE][-1]
    return sorted(columns), aurocs


def distinct(normal: Tensor) -> list[int]:
    """The columns without those whose rank correlation with an earlier one is ``ALIKE`` or more."""
    ranks = normal.argsort(0).argsort(0).double()
    alike = torch.corrcoef(ranks.T).view(normal.shape[1], -1) >= ALIKE
    kept: list[int] = []
    for column in range(normal.shape[1]):
        if not alike[column, kept].any():
            kept.append(column)
    return kept


def auroc(normal: Tensor, anomalous: Tensor) -> float:
    """The probability that an anomaly scores above a normal row."""
    from sklearn.metrics import roc_auc_score

    labels = torch.cat([torch.zeros(len(normal)), torch.ones(len(anomalous))])
    return float(roc_auc_score(labels.numpy(), torch.cat([normal, anomalous]).numpy()))
