"""What a detector is told. Light to import: the help page reads it."""

from typing import Literal, get_args

from lit_ae.errors import UserError

Rule = Literal["conformal", "fdr", "quantile", "contamination", "sigma", "labelled_f1"]
ScoreName = Literal[
    "reconstruction_error",
    "relative_error",
    "residual",
    "top_features",
    "imputed_features",
    "log_probability",
    "mahalanobis",
    "neighbours",
    "discriminator",
    "rolling_error",
    "level_shift",
]


class DetectionSettings:
    """How rows are scored, and when a row counts as an anomaly.

    Args:
        enabled: whether a trained model gets a detector, where the data says what is normal.
        alpha: the false-alarm budget: the share of normal rows that may be called anomalies. Under the rule fdr it is
            the share of the alarms that may be false.
        alarms_per_day: the budget as false alarms a day, in place of alpha; needs rows_per_day.
        rows_per_day: rows that are judged in a day.
        rule: how the budget becomes a threshold: conformal keeps it, fdr is Benjamini-Hochberg over the rows that are
            judged together; quantile, contamination, sigma (mean + 3 standard deviations) and labelled_f1 promise
            nothing and are there to compare.
        labelled: for the rule labelled_f1, a CSV or Parquet file of rows with the data's columns and a label, as it is
            scored: of windows the rows in time order. Its rows that fit, tune or test hold too are left out.
        label_column: the column of that file that says what a row is.
        normal: the labels that are normal; all others are anomalies.
        contamination: the share of anomalies that the rule contamination expects.
        scores: the scores that are combined; by default chosen on synthetic anomalies made of held-out normal rows.
        top_features: how many of the worst features the score top_features averages.
        clip: the multiple of a normal residual above which a feature counts no more.
        margin: how far outside the range of training a model is asked as it is, in widths of that range, at
            most 1; a reading further out is taken to be there, and beyond it the range guard raises the score.
        neighbours: the score neighbours is the distance to this nearest one of the normal codes that are kept.
        bank_size: normal codes that are kept for it, at most.
        draws: codes a row for log_probability, always the same draws; 0 takes the posterior mean.
        members: models that judge together, trained alike with seeds of their own.
        tail: whether p-values below the floor of the calibration rows come from a generalised Pareto tail.
        seed: of the kept codes and the synthetic anomalies.
    """

    def __init__(
        self,
        enabled: bool = True,
        alpha: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        rule: Rule = "conformal",
        labelled: str | None = None,
        label_column: str = "label",
        normal: list[str] = ["normal", "0", "false"],  # noqa: B006 - never changed, and shown as the default
        contamination: float = 0.05,
        scores: list[ScoreName] | None = None,
        top_features: int = 5,
        clip: float = 10.0,
        margin: float = 1.0,
        neighbours: int = 5,
        bank_size: int = 5000,
        draws: int = 0,
        members: int = 1,
        tail: bool = True,
        seed: int = 0,
    ):
        self.enabled, self.alpha, self.rule, self.contamination = enabled, alpha, rule, contamination
        self.labelled, self.label_column, self.normal = labelled, label_column, list(normal)
        self.alarms_per_day, self.rows_per_day = alarms_per_day, rows_per_day
        self.scores = None if scores is None else list(scores)
        self.top_features, self.clip, self.margin = top_features, clip, margin
        self.neighbours, self.bank_size = neighbours, bank_size
        self.draws, self.members, self.tail, self.seed = draws, members, tail, seed
        self._check_shares()
        self._check_choices()
        self._check_counts()

    @property
    def budget(self) -> float:
        """The share of normal rows that may be called anomalies."""
        if self.alarms_per_day is None or self.rows_per_day is None:
            return self.alpha
        return self.alarms_per_day / self.rows_per_day

    def words_for(self, budget: float) -> str:
        """The option that asks for a budget, in the unit of the one that was given."""
        if self.rows_per_day is None:
            return f"--detection.alpha {budget:.2g}"
        return f"--detection.alarms_per_day {budget * self.rows_per_day:.6g}"

    def _check_shares(self) -> None:
        if (self.alarms_per_day is None) != (self.rows_per_day is None):
            raise UserError("detection.alarms_per_day and detection.rows_per_day go together: set both, or alpha.")
        if self.rows_per_day is not None and self.rows_per_day <= 0:
            raise UserError(f"detection.rows_per_day must be above 0, not {self.rows_per_day}.")
        for name, share in (("alpha", self.budget), ("contamination", self.contamination)):
            if not 0 < share < 1:
                said = "alarms_per_day / rows_per_day" if name == "alpha" and self.alarms_per_day else name
                raise UserError(f"detection.{said} is {share:g}, but it must lie between 0 and 1.")

    def _check_choices(self) -> None:
        if self.rule not in get_args(Rule):
            raise UserError(f"detection.rule is {self.rule!r}, but it must be one of {', '.join(get_args(Rule))}.")
        if self.labelled is not None and self.rule != "labelled_f1":
            raise UserError(
                "detection.labelled is for the rule labelled_f1: set detection.rule to that, or leave it out."
            )
        known = get_args(ScoreName)
        unknown = [name for name in self.scores or () if name not in known]
        if unknown or self.scores == []:
            said = f"names {unknown[0]!r}" if unknown else "is empty"
            raise UserError(f"detection.scores {said}, but it must name some of {', '.join(known)}.")

    def _check_counts(self) -> None:
        lowest = {"top_features": 1, "neighbours": 1, "bank_size": 10, "members": 1, "draws": 0, "seed": 0}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise UserError(f"detection.{name} is {getattr(self, name)}, but it must be {least} or more.")
        if self.clip <= 1:
            raise UserError(f"detection.clip is {self.clip}, but it must be above 1.")
        if not 0 < self.margin <= 1:
            raise UserError(f"detection.margin is {self.margin}, but it must be above 0 and at most 1.")
