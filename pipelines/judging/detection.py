"""How well the model's detector tells anomalies from normal rows, beside what it is to be held against."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from data.base import LitData
from lit_ae.describe import build
from lit_ae.detection.detector import Detector
from lit_ae.detection.explanation import hit_rate
from lit_ae.detection.settings import DetectionSettings
from lit_ae.metrics.ranking import Booleans
from lit_ae.module import LitAutoencoder
from pipelines.judging.anomalies import Labels, Said, detection_figures, protocol_of
from pipelines.judging.baselines import NEIGHBOURS, classical, trivial
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation

MODEL = "this model"


@dataclass
class Detection:
    """What the test rows showed of detectors.

    Attributes:
        labels: of the test rows that are scored.
        said: what each detector says of them, by its name, :data:`MODEL` first.
        figures: of each detector.
        protocol: a sentence for each figure that needs one.
    """

    labels: Labels
    said: dict[str, Said]
    figures: dict[str, dict[str, float]]
    protocol: dict[str, str]


def judge_detection(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """Every figure of detection, of the model and of the detectors beside it, for data with labelled anomalies."""
    labels, detector = Labels.of(data.rows["test"], data.families), verdict.detector
    if labels is None or detector is None:
        return
    device = model.device
    model.cpu()  # where a detector works
    said, scored = opinion(detector, data.split("test").x)
    labels = labels.take(scored)
    everything = {MODEL: said, **dict(beside(detector, data, labels, scored, asked))}
    hits = hit_figures(detector, data)
    model.to(device)
    figures = {name: detection_figures(one, labels, asked) for name, one in everything.items()}
    figures[MODEL] |= hits
    for name, own in figures.items():
        verdict.add("test" if name == MODEL else f"baseline_{name}", own)
    protocol = protocol_of(labels, asked) | _told(detector, data, asked, len(scored) - int(scored.sum()))
    verdict.protocol |= protocol
    verdict.detection = Detection(labels, everything, figures, protocol)


def opinion(detector: Detector, x: Tensor) -> tuple[Said, Booleans]:
    """What a detector says of the rows that it scores, and which these are ``(N,)``."""
    judged = detector.judge(x)
    scored = judged.is_scored.numpy()
    together = detector.settings.rule == "fdr"  # verdicts that no one threshold makes
    threshold = None if together else detector.threshold
    return Said(judged.score.numpy()[scored], judged.is_anomaly.numpy()[scored], threshold), scored


def hit_figures(detector: Detector, data: LitData) -> dict[str, float]:
    """HitRate@100 % of the explanations, for made-up data that know which features their anomalies have changed."""
    spiked, names = getattr(data, "spiked", []), detector.model.spec.schema
    rows = data.rows["test"].anomaly
    if not spiked or names is None or rows is None:
        return {}
    share = detector.explain(data.split("test").x, rows.nonzero().flatten()).share
    truly = torch.zeros_like(share, dtype=torch.bool)
    truly[:, spiked] = True
    return {"hit_rate": float(hit_rate(share, truly).mean())}


def beside(
    detector: Detector, data: LitData, labels: Labels, scored: Booleans, asked: Evaluation
) -> Iterator[tuple[str, Said]]:
    """Trivial detectors, a network of the same make that was never trained, and classical detectors."""
    alpha = detector.settings.budget
    yield from trivial(labels, alpha)
    best = data.optimal_scores(data.rows["test"])
    if best is not None:
        yield "neyman_pearson", Said(best.double().numpy()[scored])
    if not asked.baseline_rows:
        return
    fit, calibrate, test = (data.split(role).x for role in ("fit", "calibrate", "test"))
    yield "untrained", opinion(untrained(detector, data), test[torch.from_numpy(scored)])[0]
    known = test[torch.from_numpy(scored)]
    yield from classical(fit, calibrate, known, detector.model.latent_dim, alpha, asked.baseline_rows)


def untrained(detector: Detector, data: LitData, seed: int = 0) -> Detector:
    """A detector made the same way of a network of the same make, with the weights that it began with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(detector.model.description)(detector.model.spec)
    by_labels = detector.settings.rule == "labelled_f1"
    instead = {"rule": "conformal", "labelled": None} if by_labels else {}
    settings = DetectionSettings(**{**vars(detector.settings), **instead})
    fit, tune, calibrate = (data.split(role).x for role in ("fit", "tune", "calibrate"))
    return Detector.fit(model.eval(), fit, tune, calibrate, settings, data.rows["calibrate"].entity)


def _told(detector: Detector, data: LitData, asked: Evaluation, unscored: int) -> dict[str, str]:
    """How the detector decides, and what stands beside it."""
    settings = detector.settings
    said = {
        "detector": f"{', '.join(detector.chosen)}, on one scale; rule {settings.rule}, budget {settings.budget:g}, "
        f"threshold {detector.threshold:.4g} from {detector.notes['calibration_rows']:,} normal rows "
        f"({detector.notes['effective_rows']:.0f} effective)",
        "baselines": f"same split; classical ones fitted on at most {asked.baseline_rows:,} training rows: PCA "
        f"residual (up to {detector.model.latent_dim} components), Mahalanobis (Ledoit-Wolf), k-NN (mean distance to "
        f"{NEIGHBOURS}), isolation forest; untrained is the same network with the weights it began with",
    }
    if data.optimal_scores(data.rows["test"]) is not None:
        said["neyman_pearson"] = "the likelihood ratio of the generator that made the data: no score can rank better"
    if unscored:
        said["not_scored"] = f"{unscored:,} test rows have no score and no part in these figures"
    return said
