"""What a threshold that was known beforehand does: alarms, false and true."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from lit_ae.metrics.ranking import Booleans, Floats, Integers
from lit_ae.proportions import clopper_pearson


def alarm_figures(alarm: Booleans, anomaly: Booleans) -> dict[str, float]:
    """Precision, recall, F1, and the realised rate of false alarms with its 95 % interval.

    Where there is nothing to divide by, precision, recall and F1 are 0, and a rate of false alarms is left out.

    Args:
        alarm: the verdicts ``(N,)``.
        anomaly: what the rows are ``(N,)``.
    """
    precision, recall, f1, _ = precision_recall_fscore_support(anomaly, alarm, average="binary", zero_division=0)
    figures = {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
    normal = ~anomaly
    if normal.any():
        figures["false_alarm_rate"] = float(alarm[normal].mean())
        low, high = clopper_pearson(int(alarm[normal].sum()), int(normal.sum()))
        figures |= {"false_alarm_rate_low": low, "false_alarm_rate_high": high}
    return figures


def family_figures(
    score: Floats, alarm: Booleans | None, anomaly: Booleans, family: Integers, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """For each family that has anomalies: rows, AUROC against all normal rows, and the share that raised an alarm.

    Args:
        score: higher is worse ``(N,)``.
        alarm: the verdicts ``(N,)``, or None.
        anomaly: what the rows are ``(N,)``.
        family: index into ``names`` ``(N,)``; of no matter for normal rows.
        names: the families.
    """
    found: dict[str, dict[str, float]] = {}
    for index, name in enumerate(names):
        members = anomaly & (family == index)
        if not members.any():
            continue
        found[name] = {"rows": float(members.sum())}
        among = members | ~anomaly
        if not anomaly.all():
            found[name]["auroc"] = float(roc_auc_score(members[among], score[among]))
        if alarm is not None:
            found[name]["recall"] = float(np.mean(alarm[members]))
    return found
