"""How far each number of a code tells of one factor of variation, and each factor is told by one number.

All take codes ``(N, latent_dim)`` and factors ``(N, factors)``: which of its values each factor has, int64.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import balanced_accuracy_score, mutual_info_score
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor
from torch.distributions import Categorical


class Rated(NamedTuple):
    """Codes and the factors that their samples were made from."""

    codes: Tensor
    factors: Tensor


def mutual_information_gap(codes: Tensor, factors: Tensor, bins: int = 20) -> float:
    """MIG (Chen et al. 2018, equation 6): the mean over the factors of how much more the dimension that tells most of a
    factor tells of it than the next best one, as a share of the factor's entropy: 0 to 1.

    Args:
        codes: deterministic codes; each dimension is cut into bins of equal width (Locatello et al. 2019, appendix C).
        factors: see above.
        bins: how many.
    """
    cuts = [np.linspace(values.min(), values.max(), bins + 1)[1:-1] for values in codes.T.numpy()]
    binned = [np.digitize(values, cut) for values, cut in zip(codes.T.numpy(), cuts, strict=True)]
    gaps = []
    for factor in factors.T.numpy():
        information = sorted(mutual_info_score(factor, dimension) for dimension in binned)
        gaps.append(_gap(information) / mutual_info_score(factor, factor))
    return float(np.mean(gaps))


def separated_attribute_predictability(fit: Rated, test: Rated, is_categorical: Sequence[bool]) -> float:
    """SAP (Kumar et al. 2018, section 3): the mean over the factors of how much better the dimension that predicts a
    factor best does than the next best one: 0 to 1.

    A factor with an order is predicted by a line and scored by R²; one without by thresholds, as many as it has values
    less one, and scored by the balanced accuracy, where 0 is chance.

    Args:
        fit: what the predictors are fitted on.
        test: what they are scored on.
        is_categorical: for each factor, whether its values have no order.
    """
    gaps = []
    for place, has_no_order in enumerate(is_categorical):
        score = _accuracy_by_thresholds if has_no_order else _determination
        columns = range(fit.codes.shape[1])
        scores = [score(_one_dimension(fit, column, place), _one_dimension(test, column, place)) for column in columns]
        gaps.append(_gap(sorted(max(0.0, value) for value in scores)))
    return float(np.mean(gaps))


class DCI(NamedTuple):
    """Figures of Eastwood & Williams 2018 (section 2), 0 to 1 each.

    Attributes:
        disentanglement: how far each dimension of the code matters for one factor alone.
        completeness: how far one dimension alone matters for each factor.
        informativeness: test accuracy of predicting the factors, their mean.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def dci(fit: Rated, test: Rated, trees: int = 10, seed: int = 0) -> DCI:
    """Predicts each factor from the whole code by a random forest, whose importances say which dimensions matter.

    Args:
        fit: what the forests are fitted on.
        test: what their accuracy is told on.
        trees: in a forest.
        seed: of the forests.
    """
    importances, accuracies = [], []
    for place in range(fit.factors.shape[1]):
        forest = RandomForestClassifier(trees, max_features=None, min_samples_leaf=5, random_state=seed)
        forest.fit(fit.codes.numpy(), fit.factors[:, place].numpy())
        importances.append(torch.from_numpy(forest.feature_importances_))
        accuracies.append(forest.score(test.codes.numpy(), test.factors[:, place].numpy()))
    return DCI(*concentration(torch.stack(importances, 1)), float(np.mean(accuracies)))


def concentration(importances: Tensor) -> tuple[float, float]:
    """Disentanglement and completeness, from how much each dimension matters for each factor ``(latent_dim, factors)``.

    Each is a mean of 1 - entropy, where the logarithm's base makes 1 of an even spread; dimensions, and factors, count
    by how much they matter.
    """
    means = []
    for rows in (importances, importances.T):
        used = rows[rows.sum(1) > 0]
        concentrations = 1 - Categorical(used).entropy() / math.log(max(2, rows.shape[1]))
        means.append((used.sum(1) @ concentrations / used.sum()).item())
    return means[0], means[1]


def _gap(rising: Sequence[float]) -> float:
    return rising[-1] - (rising[-2] if len(rising) > 1 else 0.0)


def _one_dimension(rated: Rated, dimension: int, factor: int) -> tuple[np.ndarray, np.ndarray]:
    return rated.codes[:, [dimension]].numpy(), rated.factors[:, factor].numpy()


def _determination(fit: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    return LinearRegression().fit(*fit).score(*test)


def _accuracy_by_thresholds(fit: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    tree = DecisionTreeClassifier(max_leaf_nodes=len(np.unique(fit[1])), class_weight="balanced", random_state=0)
    return balanced_accuracy_score(test[1], tree.fit(*fit).predict(test[0]), adjusted=True)
