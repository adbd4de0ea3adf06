"""What every detector is held against, on the same split: trivial and classical ones."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from lit_ae.metrics.baseline import PrincipalComponents
from lit_ae.metrics.ranking import Floats
from lit_ae.metrics.reconstruction import squared_error
from pipelines.judging.anomalies import Labels, Said

Score = Callable[[Tensor], Floats]
NEIGHBOURS = 5


def trivial(labels: Labels, alpha: float, seed: int = 0) -> Iterator[tuple[str, Said]]:
    """Detectors that look at no feature: an alarm always, a random score, and how late a row comes.

    No threshold on the row's place can be set on earlier rows, so that this one has no verdict.

    Args:
        labels: of the rows to judge.
        alpha: share of false alarms that is allowed.
        seed: of the random score.
    """
    rows = len(labels.anomaly)
    yield "always_alarm", Said(np.zeros(rows), np.ones(rows, bool))
    drawn = np.random.default_rng(seed).random(rows)
    yield "random", Said(drawn, drawn > 1 - alpha, 1 - alpha)
    place = np.arange(rows)
    if labels.entity is not None:
        first = np.append(True, np.diff(labels.entity) != 0)
        place -= np.maximum.accumulate(np.where(first, place, 0))
    yield "time_index", Said(place.astype(float))


def classical(
    fit: Tensor, calibrate: Tensor, test: Tensor, components: int, alpha: float, bound: int, seed: int = 0
) -> Iterator[tuple[str, Said]]:
    """PCA residual, Mahalanobis, k-NN and isolation forest, fitted on ``fit`` and calibrated like the model.

    Args:
        fit: normal rows ``(N, ...)`` in model space.
        calibrate: further normal rows.
        test: the rows to judge.
        components: of PCA; at most half of the features.
        alpha: share of false alarms that is allowed.
        bound: most rows of ``fit`` that are used, drawn at random.
        seed: of that draw and of the forest.
    """
    chosen = torch.randperm(len(fit), generator=torch.Generator().manual_seed(seed))[:bound].sort().values
    bank = fit[chosen].flatten(1)
    for name, make in MAKERS.items():
        score = make(bank, components, seed)
        yield name, calibrated(score(calibrate.flatten(1)), score(test.flatten(1)), alpha)


def calibrated(normal: Floats, score: Floats, alpha: float) -> Said:
    """Alarms where the conformal p-value is at most ``alpha`` (Vovk et al. 2005): (1 + #{normal >= score}) / (n + 1).

    Args:
        normal: scores of the calibration rows ``(n,)``.
        score: scores to judge ``(N,)``.
        alpha: share of false alarms that is allowed; below 1 / (n + 1) there is never an alarm.
    """
    allowed = int(np.floor(alpha * (len(normal) + 1) + 1e-9))
    threshold = float(np.sort(normal)[-allowed]) if allowed else np.inf
    return Said(score, score > threshold, threshold)


def _pca(fit: Tensor, components: int, seed: int) -> Score:
    pca = PrincipalComponents(fit, max(1, min(components, fit.shape[1] // 2)))
    return lambda x: squared_error(x, pca.reconstruct(x)).double().numpy()


def _mahalanobis(fit: Tensor, components: int, seed: int) -> Score:
    estimated = LedoitWolf().fit(_matrix(fit))
    return lambda x: estimated.mahalanobis(_matrix(x))


def _nearest_neighbours(fit: Tensor, components: int, seed: int) -> Score:
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(fit)), algorithm="brute").fit(fit.numpy())
    return lambda x: near.kneighbors(x.numpy())[0].mean(axis=1).astype(np.float64)


def _isolation_forest(fit: Tensor, components: int, seed: int) -> Score:
    forest = IsolationForest(random_state=seed).fit(fit.numpy())
    return lambda x: -forest.score_samples(x.numpy())


def _matrix(x: Tensor) -> NDArray[np.float64]:
    return x.double().numpy()


MAKERS: dict[str, Callable[[Tensor, int, int], Score]] = {
    "pca": _pca,
    "mahalanobis": _mahalanobis,
    "knn": _nearest_neighbours,
    "isolation_forest": _isolation_forest,
}
