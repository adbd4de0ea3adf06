"""How well a score puts anomalies above normal rows, whatever the threshold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]
RATES = (0.01, 0.05)


def ranking_figures(score: Floats, anomaly: Booleans, rates: Sequence[float] = RATES) -> dict[str, float]:
    """Base rate, AUROC, average precision, and the recall within rates of false alarms.

    The recall at a rate is the highest of any threshold whose false alarms stay within it on these very rows: a figure
    of the ranking, not of a threshold that was known beforehand.

    Args:
        score: higher is worse ``(N,)``.
        anomaly: what the rows are ``(N,)``; both kinds must be there.
        rates: of false alarms.
    """
    false_alarms, recall, _ = roc_curve(anomaly, score, drop_intermediate=False)
    within = {f"recall_at_false_alarms_{rate:g}": recall[false_alarms <= rate].max() for rate in rates}
    return {
        "base_rate": float(anomaly.mean()),
        "auroc": float(roc_auc_score(anomaly, score)),
        "ap": float(average_precision_score(anomaly, score)),
        **{name: float(value) for name, value in within.items()},
    }


def best_f1(score: Floats, anomaly: Booleans) -> float:
    """The F1 of the threshold that is best on these very rows: an oracle's, which knows the answers."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    found = np.cumsum(anomaly[order])[ends]
    return float((2 * found / (ends + 1 + anomaly.sum())).max())
