"""What the frozen rows show of a model and of its rival: read it from :func:`on_test` downwards."""

from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data import LitData
from lit_ae.detection.anomalies import synthetic_anomalies
from lit_ae.detection.blocks import model_space
from lit_ae.metrics.baseline import principal_components
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.ranked import auroc, average_precision, dense_ranks, recall_within
from lit_ae.metrics.ranking import Floats
from lit_ae.metrics.reconstruction import error_name, reconstruction_errors
from lit_ae.paired_bootstrap import Figure, paired_bootstrap
from lit_ae.proportions import clopper_pearson
from lit_ae.spec import DataSpec
from pipelines.judging.anomalies import Labels
from pipelines.judging.baselines import classical
from pipelines.options import Evaluation
from pipelines.promoting.contender import Contender
from pipelines.promoting.evidence import Alarms, Paired
from pipelines.promoting.policy import FalseAlarms, OnCalibration
from pipelines.seen import SeenBy, recoded

OTHER_DRAWS = 2  # added to the detector's seed: damage that neither its scores nor its options were chosen on


def less_error(_: NDArray[Any], errors: Floats) -> float:
    """The mean error with its sign turned, so that more is better."""
    return -float(errors.mean())


RANKED: dict[str, Figure] = {"ap": average_precision, "auroc": auroc}


class FrozenRows:
    """The test rows as a model sees them, with the labels that they have, and what the model says of them.

    Args:
        contender: the model.
        data: gives the rows.
    """

    def __init__(self, contender: Contender, data: LitData):
        self.contender, self.data = contender, SeenBy(contender.model.spec, data)
        self.labels = Labels.of(data.rows["test"], data.families)
        detector = contender.detector
        self.scores = None if detector is None else detector.score(self.data.split("test").x).numpy()

    @property
    def can_be_ranked(self) -> bool:
        """Whether there are anomalous and normal rows, and a detector's scores of them."""
        return self.scores is not None and self.labels is not None and self.labels.has_both

    def errors(self, space: DataSpec) -> Floats:
        """Of each normal test row's reconstruction, in the model space of another spec; NaN for anomalies ``(N,)``."""
        spec, x = self.data.spec, self.data.split("test").x
        x_hat = in_chunks(self.contender.model, x)
        if spec.preprocessing.to_dict() != space.preprocessing.to_dict() or _schema(spec) != _schema(space):
            x, x_hat = (space.preprocessing.apply(moved(part, spec, space)) for part in (x, x_hat))
        return self.of_normals(reconstruction_errors(x, x_hat, space))

    def of_normals(self, values: Tensor) -> Floats:
        """The values of the test rows ``(N,)``, float64, with NaN for those of anomalies."""
        known = values.double().numpy()
        return known if self.labels is None else np.where(self.labels.anomaly, np.nan, known)


def moved(x: Tensor, spec: DataSpec, other: DataSpec) -> Tensor:
    """Rows of one model space in the user's own units, categories numbered as another spec does."""
    raw = spec.preprocessing.invert(x)
    if spec.schema is None or other.schema is None or _schema(spec) == _schema(other):
        return raw
    return recoded(raw, spec.schema, other.schema)


def _schema(spec: DataSpec) -> Any:
    return spec.schema and spec.schema.to_dict()


def blocks_of(labels: Labels | None) -> NDArray[np.int64] | None:
    """Which rows of a series are drawn together; None for rows that are independent."""
    return None if labels is None else labels.stretches(Evaluation().longest_buffer)


def paired(
    name: str, figure: Figure, truth: NDArray[Any], mine: Floats, rival: Floats, asked: Any, blocks: Any, ranked: bool
) -> Paired:
    """A figure of two models' values of the same rows; rows that one of the two has no value for are left out.

    Args:
        name: of the figure.
        figure: higher is better.
        truth: what the rows are ``(N,)``.
        mine: the model's values ``(N,)``.
        rival: the rival's.
        asked: the options of the gate.
        blocks: rows that are drawn together ``(N,)``; None for each by itself.
        ranked: whether the figure is one of the values' ranks; else it is an error with its sign turned.
    """
    both = np.isfinite(mine) & np.isfinite(rival)
    truth, blocks = truth[both], None if blocks is None else blocks[both]
    own, theirs = (dense_ranks(values[both]) if ranked else values[both] for values in (mine, rival))
    found = paired_bootstrap(figure, truth, own, theirs, asked.resamples, asked.level, blocks=blocks)
    sign = 1 if ranked else -1
    return Paired(name, sign * figure(truth, own), sign * figure(truth, theirs), found.low, found.high, rising=ranked)


def on_test(mine: FrozenRows, rival: FrozenRows | None, asked: Any) -> Paired | None:
    """The figure that the policy asks for, on the test rows; None where it needs labels or a detector that are missing.

    Args:
        mine: the model's.
        rival: the champion's; None for principal components of the model's size.
        asked: the options of the gate.
    """
    rank = mine.can_be_ranked and (rival is None or rival.can_be_ranked)
    figure = asked.figure if asked.figure != "auto" else "ap" if rank else "reconstruction"
    if figure == "reconstruction":
        space = mine.data.spec if rival is None else rival.data.spec
        theirs = components_errors(mine) if rival is None else rival.errors(space)
        truth = np.ones(len(theirs), bool)
        blocks = blocks_of(mine.labels)
        return paired(error_name(space), less_error, truth, mine.errors(space), theirs, asked, blocks, ranked=False)
    if not rank:
        return None
    scores = components_scores(mine) if rival is None else rival.scores
    return ranked_pair(figure, RANKED[figure], mine, scores, asked)


def ranked_pair(name: str, figure: Figure, mine: FrozenRows, rival: Floats | None, asked: Any) -> Paired:
    """A figure of the test rows' labels and two models' scores."""
    assert mine.labels is not None
    assert mine.scores is not None
    assert rival is not None
    return paired(name, figure, mine.labels.anomaly, mine.scores, rival, asked, blocks_of(mine.labels), ranked=True)


def components_errors(mine: FrozenRows) -> Floats:
    """The reconstruction errors of principal components of the model's size, of the normal test rows ``(N,)``."""
    spec, x = mine.data.spec, mine.data.split("test").x
    pca = principal_components(mine.data.split("fit").x, mine.contender.model.latent_dim, spec)
    return mine.of_normals(reconstruction_errors(x, pca.reconstruct(x), spec))


def components_scores(mine: FrozenRows) -> Floats:
    """The error of principal components of the model's size as an anomaly score of the test rows ``(N,)``."""
    fit, calibrate, test = (mine.data.split(role).x for role in ("fit", "calibrate", "test"))
    assert mine.contender.detector is not None
    budget = mine.contender.detector.settings.budget
    detectors = classical(fit, calibrate, test, mine.contender.model.latent_dim, budget, Evaluation().baseline_rows)
    return dict(islice(detectors, 1))["pca"].score


def recall(mine: FrozenRows, rival: FrozenRows | None, asked: Any) -> Paired | None:
    """The highest recall within the budget on the test rows; None without labels or a detector.

    Args:
        mine: the model's.
        rival: the champion's; None for a first model, whose own recall then stands in its place.
        asked: the options of the gate.
    """
    if not mine.can_be_ranked or (rival is not None and not rival.can_be_ranked):
        return None
    assert mine.contender.detector is not None
    rate = mine.contender.detector.settings.budget if asked.budget is None else asked.budget
    name, figure = f"recall at {rate:.3g} false alarms", recall_within(rate)
    if rival is not None:
        return ranked_pair(name, figure, mine, rival.scores, asked)
    assert mine.labels is not None
    assert mine.scores is not None
    scored = np.isfinite(mine.scores)
    own = figure(mine.labels.anomaly[scored], dense_ranks(mine.scores[scored]))
    return Paired(name, own, own, 0.0, 0.0)


def alarms(mine: FrozenRows, asked: FalseAlarms) -> Alarms | None:
    """What the model's own verdicts do on the normal test rows; None without labels or a detector.

    Rows of a series say little more than their neighbours: they count as the blocks that the calibration has found.
    """
    detector, labels = mine.contender.detector, mine.labels
    if detector is None or labels is None or mine.scores is None or labels.anomaly.all():
        return None
    judged = detector.judgement(torch.from_numpy(mine.scores))
    normal = torch.from_numpy(~labels.anomaly) & judged.is_scored
    alarmed, count = int((judged.is_anomaly & normal).sum()), int(normal.sum())
    length = max(1.0, float(detector.notes.get("block_rows", 1.0)))
    low, high = clopper_pearson(round(alarmed / length), max(1, round(count / length)), asked.level)
    return Alarms(alarmed / max(1, count), low, high, detector.settings.budget)


@torch.no_grad()
def on_calibration(mine: FrozenRows, rival: FrozenRows, asked: OnCalibration) -> Paired | None:
    """Average precision of calibration rows against damaged copies of them; None without such rows or detectors.

    The damage is done in the rival's model space and both see it by way of the user's own units. A row and its copies
    are drawn together.
    """
    detectors = [one.contender.detector for one in (mine, rival)]
    if None in detectors or "calibrate" not in rival.data.rows:
        return None
    spec = rival.data.spec
    normal = rival.data.split("calibrate").x[: asked.rows]
    seed = detectors[1].settings.seed + OTHER_DRAWS  # type: ignore[union-attr]
    everything = torch.cat([normal, *synthetic_anomalies(spec, normal, seed).values()])
    own, theirs = (scores_of(one, everything, spec) for one in (mine, rival))
    row = np.arange(len(everything)) % len(normal)
    truth = np.arange(len(everything)) >= len(normal)
    return paired("average precision of damaged copies", RANKED["ap"], truth, own, theirs, asked, row, ranked=True)


def scores_of(one: FrozenRows, x: Tensor, spec: DataSpec) -> Floats:
    """A model's scores of rows of another's model space ``(N,)``."""
    assert one.contender.detector is not None
    raw = moved(x, spec, one.data.spec)
    return one.contender.detector.score(model_space(one.data.spec.preprocessing, raw)).numpy()
