"""A detector: models, what they have seen of normal rows, and a threshold that keeps a false-alarm budget."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lit_ae.detection.anomalies import synthetic_anomalies
from lit_ae.detection.blocks import in_blocks
from lit_ae.detection.calibration import Calibration, best_f1, discoveries, rounded_up
from lit_ae.detection.choice import choose
from lit_ae.detection.dependence import blocks_in_time
from lit_ae.detection.evidence import Witness
from lit_ae.detection.explanation import Explanations, Features, normalized
from lit_ae.detection.hull import Hull
from lit_ae.detection.packing import pack, unpack
from lit_ae.detection.residuals import signed
from lit_ae.detection.scale import SPAN, LogZ, combined
from lit_ae.detection.settings import DetectionSettings
from lit_ae.detection.tail import Tail
from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder

CHOICE_ROWS = 2000  # held-out normal rows that the scores are chosen on, at most


class Judgement(NamedTuple):
    """What a detector says of N rows.

    Attributes:
        score: how unlike normal rows each is, higher is worse, ``(N,)``, float64; NaN where it is not scored.
        p_value: the share of normal rows that score as high, ``(N,)``, float64; NaN where it is not scored.
        is_anomaly: the verdict ``(N,)``, bool; False where there is none.
        is_scored: False for rows that no score stands for, such as those of a window's warm-up ``(N,)``, bool.
    """

    score: Tensor
    p_value: Tensor
    is_anomaly: Tensor
    is_scored: Tensor


class State(NamedTuple):
    """A detector without its models, as plain JSON values and tensors."""

    plain: dict[str, Any]
    tensors: dict[str, Tensor]


class Detector:
    """Scores rows of model space, judges and explains them. Made by :meth:`fit`, or from disk by :meth:`restore`.

    A score is the mean of the chosen scores on one scale (see :class:`LogZ`), plus what the range guard adds
    (:class:`Hull`); several models' scores are averaged before that. A row's score depends on the row alone, bit for
    bit. For a window it depends on the window's rows alone and stands at the last of them.

    Args:
        witnesses: models with what they have seen.
        settings: how it was asked for.
        hull: of the training rows; None for sequences of tokens.
        chosen: names of the scores that are combined.
        scale: of the chosen scores.
        calibration: scores of the calibration rows.
        threshold: a row is an anomaly above it.
        notes: plain facts of the fit, such as the AUROC on synthetic anomalies.
    """

    def __init__(
        self,
        witnesses: Sequence[Witness],
        settings: DetectionSettings,
        hull: Hull | None,
        chosen: Sequence[str],
        scale: LogZ,
        calibration: Calibration,
        threshold: float,
        notes: dict[str, Any],
    ):
        self.witnesses, self.settings, self.hull = list(witnesses), settings, hull
        self.chosen, self.scale = list(chosen), scale
        self.calibration, self.threshold, self.notes = calibration, threshold, notes

    @property
    def model(self) -> LitAutoencoder:
        """The first of the models."""
        return self.witnesses[0].model

    # Fitting

    @classmethod
    def fit(
        cls,
        model: LitAutoencoder | Sequence[LitAutoencoder],
        fit: Tensor,
        tune: Tensor,
        calibrate: Tensor,
        settings: DetectionSettings,
        entity: Tensor | None = None,
        labelled: tuple[Tensor, Tensor] | None = None,
    ) -> "Detector":
        """A detector of trained models.

        What scores are compared with comes from ``fit`` and ``tune``; ``calibrate`` does nothing but set the threshold,
        which is why the budget holds.

        Args:
            model: one, or several that are judged by together.
            fit: training rows in model space ``(N, *spec.shape)``, as all rows here.
            tune: normal rows that no weight was fitted on.
            calibrate: normal rows that nothing was fitted or chosen on.
            settings: how rows are scored and judged.
            entity: which series each calibration row belongs to; those of one stand in time order. None for
                independent rows, or for a single series.
            labelled: rows and whether each is an anomaly, for the rule labelled_f1.

        Raises:
            UserError: there are too few rows, or a score is asked for that the model does not have.
        """
        models = [model] if isinstance(model, LitAutoencoder) else list(model)
        spec = models[0].spec
        for role, rows in (("fit", fit), ("tune", tune), ("calibrate", calibrate)):
            if len(rows) < 2:
                raise UserError(f"A detector needs two {role} rows or more, not {len(rows)}: give it more normal rows.")
        hull = None if spec.kind == "sequence" else Hull.of(fit)
        witnesses = [Witness.fit(one, fit, tune, settings) for one in models]
        chosen, scale, reached = _combination(witnesses, hull, tune, settings)
        blank = Calibration(torch.zeros(0), torch.zeros(0), None)
        detector = cls(witnesses, settings, hull, chosen, scale, blank, 0.0, {"synthetic_auroc": reached})
        detector.calibrate(calibrate, entity, labelled)
        return detector

    def calibrate(
        self, rows: Tensor, entity: Tensor | None = None, labelled: tuple[Tensor, Tensor] | None = None
    ) -> None:
        """Sets the threshold by normal rows that nothing was fitted on; see :meth:`fit`."""
        scores = self.score(rows)
        entity = entity if entity is None else entity[scores == scores]
        scores = scores[scores == scores]
        blocks, length = None, 1.0
        if entity is not None or self.model.spec.kind == "series":
            blocks, length = blocks_in_time(scores, entity)
        self.calibration = Calibration.of(scores, blocks, self.settings.tail)
        self.notes |= {"calibration_rows": len(scores), "block_rows": length}
        self.notes |= {"effective_rows": self.calibration.effective_rows, "lowest_p_value": self.calibration.lowest}
        self.threshold = self._threshold_of(labelled)

    def _threshold_of(self, labelled: tuple[Tensor, Tensor] | None) -> float:
        if self.settings.rule == "labelled_f1":
            if labelled is None:
                raise UserError("The rule labelled_f1 needs labelled rows: give some, or set detection.rule.")
            scores = self.score(labelled[0])
            known = scores == scores
            scores, anomalous = scores[known], labelled[1][known]
            self.notes |= {"labelled_rows": len(scores), "labelled_anomalies": int(anomalous.sum())}
            return best_f1(scores, anomalous)
        return self.thresholds()[self.settings.rule]

    def thresholds(self) -> dict[str, float]:
        """The threshold by each rule that needs no labels: fdr's is that of a single row, judged by itself."""
        known, budget = self.calibration, self.settings.budget
        return {
            "conformal": known.threshold(budget),
            "fdr": known.threshold(budget),
            "quantile": known.quantile(1 - budget),
            "contamination": known.quantile(1 - self.settings.contamination),
            "sigma": known.three_sigma(),
        }

    @property
    def figures(self) -> dict[str, float]:
        """What a run keeps of the calibration, by MLflow key."""
        names: tuple[str, ...] = ("calibration_rows", "effective_rows", "block_rows", "lowest_p_value")
        names += tuple(name for name in ("labelled_rows", "labelled_anomalies") if name in self.notes)
        found = {"threshold": self.threshold, **{name: self.notes[name] for name in names}}
        found |= {f"synthetic_auroc/{kind}": value for kind, value in self.notes["synthetic_auroc"].items()}
        return {f"detection/{name}": float(value) for name, value in found.items() if math.isfinite(value)}

    def __str__(self) -> str:
        """What it looks at, and what it promises."""
        rule, budget = self.settings.rule, self.settings.budget
        by = f"by {self.notes['calibration_rows']:,} calibration rows worth {self.notes['effective_rows']:,.0f}"
        promise = {
            "conformal": f"at most {budget:.3g} of normal rows alarm, {by}",
            "fdr": f"at most {budget:.3g} of the alarms are false, {by}",
        }.get(rule, f"rule {rule}, which promises nothing")
        if math.isinf(self.threshold):
            lowest = self.settings.words_for(rounded_up(self.calibration.lowest))
            promise = f"never alarms: {budget:.3g} can't be promised {by}; {lowest} can"
        return f"{' + '.join(self.chosen)}; threshold {self.threshold:.4g}; {promise}"

    # Scoring

    def score(self, x: Tensor) -> Tensor:
        """How unlike normal rows ``x`` is, higher is worse, ``(N,)``, float64; NaN where a row is not all finite."""
        return self._found(x, self.chosen)["score"]

    def channels(self, x: Tensor) -> dict[str, Tensor]:
        """Every score by name, ``(N,)`` each, in its own unit, and the ``range`` guard: widths outside the hull."""
        found = self._found(x)
        del found["score"]
        return found

    def judge(self, x: Tensor) -> Judgement:
        """Scores, p-values and verdicts; under the rule fdr the verdicts are those of these rows together."""
        return self.judgement(self.score(x))

    def judgement(self, score: Tensor) -> Judgement:
        """What scores ``(N,)`` mean."""
        p = self.calibration.p_values(score)
        found = discoveries(p, self.settings.budget) if self.settings.rule == "fdr" else score > self.threshold
        return Judgement(score, p, found, score == score)

    def _found(self, x: Tensor, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """The combined score, and at least those that are wanted, by default all."""
        whole = x.flatten(1).isfinite().all(1)
        finite = x.where(whole.view(-1, *[1] * (x.dim() - 1)), torch.zeros_like(x))
        found = in_blocks(lambda block: self._of_block(block, wanted), finite)
        return {name: values.double().masked_fill(~whole, torch.nan) for name, values in found.items()}

    def _of_block(self, x: Tensor, wanted: Sequence[str] | None) -> dict[str, Tensor]:
        scores = _scores(self.witnesses, self.hull, x, wanted)
        score = combined(self.scale.apply({name: scores[name] for name in self.chosen}))
        if self.hull is not None:
            score = self.hull.guarded(score, x, SPAN, self.settings.margin)
            scores["range"] = self.hull.excess(x).amax(1)
        return {**scores, "score": score}

    def explain(self, x: Tensor, rows: Tensor) -> Explanations:
        """Why the rows of these numbers ``(R,)`` stand out."""
        some, spec, first = x[rows], self.model.spec, self.witnesses[0]
        seen, features, invert = in_blocks(self._residuals, some), Features.of(spec), spec.preprocessing.invert
        _, places = first.neighbours(seen["z"])
        beyond = torch.zeros_like(some) if self.hull is None else self.hull.excess(some).view_as(some)
        return Explanations(
            rows=rows,
            share=features.total(normalized(seen["ratios"])),
            residual=features.largest(signed(-seen["residual"], spec)),
            raw=invert(some),
            expected=invert(some + seen["residual"]),
            nearest=first.bank.rows[places],
            nearest_raw=invert(first.bank.x[places.flatten()]).unflatten(0, places.shape),
            outside=features.total(signed(beyond, spec)) > 0,
            spec=spec,
        )

    def _residuals(self, x: Tensor) -> dict[str, Tensor]:
        inside = x if self.hull is None else self.hull.clamped(x, self.settings.margin)
        asked = self.witnesses[:1] if self.model.spec.kind == "sequence" else self.witnesses  # ids have no mean
        found = [one.residuals(x, inside) for one in asked]
        mean = {name: torch.stack([each[name] for each in found]).mean(0) for name in ("residual", "ratios")}
        return {**mean, "z": found[0]["z"]}

    # Keeping

    def state(self) -> State:
        """All but the models themselves."""
        tensors = pack("scale", self.scale) | pack("calibration", self.calibration._replace(tail=None))
        tensors |= pack("hull", self.hull) | pack("tail", self.calibration.tail)
        for place, witness in enumerate(self.witnesses):
            tensors |= witness.tensors(f"witness.{place}")
        plain = {"settings": vars(self.settings), "chosen": self.chosen, "threshold": str(self.threshold)}
        return State({**plain, "members": len(self.witnesses), "notes": self.notes}, tensors)

    @classmethod
    def restore(cls, models: Sequence[LitAutoencoder], state: State) -> "Detector":
        """The detector that :meth:`state` was taken of."""
        plain, tensors = state
        settings = DetectionSettings(**plain["settings"])
        witnesses = [
            Witness.restore(model, settings, f"witness.{place}", tensors) for place, model in enumerate(models)
        ]
        scores, weights = tensors["calibration.scores"], tensors["calibration.weights"]
        return cls(
            witnesses,
            settings,
            hull=unpack(Hull, "hull", tensors),
            chosen=plain["chosen"],
            scale=LogZ(*(tensors[f"scale.{name}"] for name in LogZ._fields)),
            calibration=Calibration(scores, weights, unpack(Tail, "tail", tensors)),
            threshold=float(plain["threshold"]),
            notes=plain["notes"],
        )


def _scores(
    witnesses: Sequence[Witness], hull: Hull | None, x: Tensor, wanted: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """The scores of a block of rows, those that are wanted at least and by default all, averaged over the models."""
    inside = x if hull is None else hull.clamped(x, witnesses[0].settings.margin)
    each = [witness.scores(inside, wanted) for witness in witnesses]
    return {name: torch.stack([one[name].double() for one in each]).mean(0) for name in each[0]}


def _combination(
    witnesses: Sequence[Witness], hull: Hull | None, tune: Tensor, settings: DetectionSettings
) -> tuple[list[str], LogZ, dict[str, float]]:
    """The names of the scores to combine, their scale, and the AUROC of that on each synthetic anomaly."""

    def scores(x: Tensor) -> dict[str, Tensor]:
        return in_blocks(lambda block: _scores(witnesses, hull, block), x)

    normal = scores(tune)
    if unknown := [name for name in settings.scores or () if name not in normal]:
        raise UserError(
            f"detection.scores names {unknown[0]}, which this model on this data does not have: it has "
            f"{', '.join(normal)}."
        )
    names = list(settings.scores or normal)
    scale = LogZ.of({name: normal[name] for name in names})
    some = tune[:: max(1, len(tune) // CHOICE_ROWS)]
    made = synthetic_anomalies(witnesses[0].model.spec, some, settings.seed)
    on_scale = {kind: scale.apply(_named(scores(x), names)) for kind, x in made.items()}
    own = scale.apply(_named(scores(some), names))
    columns, reached = choose(own, on_scale, fixed=settings.scores is not None)
    kept = torch.tensor(columns)
    return [names[column] for column in columns], LogZ(*(values[kept] for values in scale)), reached


def _named(scores: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: scores[name] for name in names}
