"""How well a trial's detector tells calibration rows from damaged ones: what a study of detectors searches for."""

import statistics

import torch
from sklearn.metrics import average_precision_score

from data.base import LitData
from lit_ae.detection.anomalies import KINDS, synthetic_anomalies
from lit_ae.detection.settings import DetectionSettings
from lit_ae.module import LitAutoencoder
from pipelines.configuration import CommandLine
from pipelines.detecting import is_wanted, make_detector
from pipelines.tuning.definition import AVERAGE_PRECISION, Search

MOST_ROWS = 5000  # calibration rows that are looked at
OTHER_DRAWS = 1  # added to the detector's seed: damage that its scores were not chosen on


def is_searched(search: Search) -> bool:
    """Whether an objective is a detector's."""
    return any(name.startswith(AVERAGE_PRECISION) for name in search.objectives)


def detection_names(line: CommandLine) -> list[str]:
    """The figures of :func:`detection_figures`; none where the data does not say what is normal."""
    settings, data = line.option("detection"), line.datamodule
    kinds = KINDS[data.spec.kind] if is_wanted(settings, data) else {}
    return [AVERAGE_PRECISION, *(f"{AVERAGE_PRECISION}_{kind}" for kind in kinds)] if kinds else []


@torch.no_grad()
def detection_figures(line: CommandLine, model: LitAutoencoder) -> dict[str, float]:
    """Average precision of the trained model's detector on each kind of damage, and their mean.

    The calibration rows are the normals, and as many damaged copies the anomalies: 0.5 is chance.
    """
    settings: DetectionSettings = line.option("detection")
    data: LitData = line.datamodule
    with torch.enable_grad():
        detector = make_detector(line, model, [])
    assert detector is not None
    rows = data.split("calibrate").x[:MOST_ROWS]
    damaged = synthetic_anomalies(data.spec, rows, settings.seed + OTHER_DRAWS)
    normal = detector.score(rows)
    found = {kind: average_precision(normal, detector.score(x)) for kind, x in damaged.items()}
    named = {f"{AVERAGE_PRECISION}_{kind}": value for kind, value in found.items()}
    return {AVERAGE_PRECISION: statistics.mean(found.values()), **named}


def average_precision(normal: torch.Tensor, anomalous: torch.Tensor) -> float:
    """Of scores that are finite: the average precision of the anomalous ones, higher is worse."""
    scores = torch.cat([normal, anomalous])
    labels = torch.cat([torch.zeros(len(normal)), torch.ones(len(anomalous))])
    known = scores == scores
    return float(average_precision_score(labels[known].numpy(), scores[known].numpy()))
