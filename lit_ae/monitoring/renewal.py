"""A threshold from recent normal rows, within bounds that the model's promise sets."""

import math
from dataclasses import replace
from typing import NamedTuple

from lit_ae.detection.calibration import least_rows, lowest_p_value, rounded_up
from lit_ae.detection.detector import Detector
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from lit_ae.monitoring.profile import Promise, Seen

TOO_MANY = 0.5  # share of alarms among confirmed normal rows that a threshold alone can't mend


class Renewed(NamedTuple):
    """What a recalibration did.

    Attributes:
        before: the threshold that was.
        asked: the threshold that the recent rows ask for.
        lowest: the bound below which it may not fall.
        threshold: the threshold that is.
        alarms_before: share of the recent rows that alarmed before.
        alarms: share of them that alarm now.
        rows: recent rows that are scored.
    """

    before: float
    asked: float
    lowest: float
    threshold: float
    alarms_before: float
    alarms: float
    rows: int

    @property
    def is_bounded(self) -> bool:
        """Whether the recent rows asked for a lower threshold than the promise allows."""
        return self.threshold > self.asked


def recalibrate(detector: Detector, recent: Seen, alpha: float | None = None) -> Renewed:
    """Gives the detector the calibration of recent normal rows; its models stay as they are.

    The threshold is the conformal one of the recent rows, but never so low that the rows of the old calibration would
    break the promise: not below the score above which the upper end of the budget's 95 % interval of them lies. So a
    few rows that are too good to be true can't make the model cry wolf.

    Args:
        detector: is changed.
        recent: rows that somebody has confirmed as normal.
        alpha: the false-alarm budget; by default as it was.

    Raises:
        UserError: the threshold is one by labels, there are too few rows, or so many of them alarm that another
            threshold would blind the model.
    """
    settings = detector.settings if alpha is None else with_alpha(detector.settings, alpha)
    if settings.rule == "labelled_f1":
        raise UserError(
            "The model's threshold is by the rule labelled_f1, which normal rows alone can't renew: train it anew with "
            "detection.labelled, or with the rule conformal."
        )
    judged = detector.judge(recent.x)
    before, rows = detector.threshold, int(judged.is_scored.sum())
    alarms_before = float(judged.is_anomaly.sum()) / max(1, rows)
    require_enough(rows, settings)
    if alarms_before > TOO_MANY:
        raise UserError(
            f"{alarms_before:.0%} of the rows alarm, and a threshold above them would hide anomalies too: adapt or "
            "retrain the model, or leave out what is not normal."
        )
    lowest = lowest_threshold(detector, settings)
    detector.settings = settings
    detector.calibrate(recent.x, recent.entity)
    if math.isinf(detector.threshold) and detector.threshold > 0:
        worth = detector.calibration.effective_rows
        raise UserError(
            f"The {rows:,} rows are worth {worth:,.0f} independent ones, which can't promise {settings.budget:g}: give "
            f"more of them, or raise --alpha to {rounded_up(detector.calibration.lowest):.2g}."
        )
    asked, detector.threshold = detector.threshold, max(lowest, detector.threshold)
    alarms = float((judged.score[judged.is_scored] > detector.threshold).double().mean())
    detector.notes |= {"recalibrated": {"before": str(before), "asked": str(asked), "lowest": str(lowest)}}
    return Renewed(before, asked, lowest, detector.threshold, alarms_before, alarms, rows)


def require_enough(rows: int, settings: DetectionSettings) -> None:
    """Refuses rows that can't promise the budget.

    Raises:
        UserError: saying how many are needed.
    """
    if lowest_p_value(rows, settings.tail) > settings.budget:
        raise UserError(
            f"{rows:,} scored rows can't promise {settings.budget:g} false alarms a normal row: give "
            f"{least_rows(settings.budget, settings.tail):,} confirmed normal rows or more, or raise --alpha."
        )


def lowest_threshold(detector: Detector, settings: DetectionSettings) -> float:
    """The score above which the upper end of the budget's 95 % interval of the old calibration's rows lies."""
    known, promise = detector.calibration, Promise.of(detector)
    threshold = known.threshold(settings.budget)
    above = float(known.weights[known.scores > threshold].sum())
    _, most = replace(promise, above=above).interval
    return known.threshold(most)


def with_alpha(settings: DetectionSettings, alpha: float) -> DetectionSettings:
    """The same settings with another budget.

    Raises:
        UserError: it is no share.
    """
    kept = {name: value for name, value in vars(settings).items() if name not in ("alarms_per_day", "rows_per_day")}
    return DetectionSettings(**{**kept, "alpha": alpha})
