"""What drawn molecules are worth: the measures of MOSES (Polykovskiy et al. 2020) by RDKit."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from lit_ae.molecules import PROPERTIES, canonical, internal_diversity, properties

MOST = 1000  # molecules that are compared pair by pair


def validity(smiles: Sequence[str]) -> float:
    """The share of strings that are molecules."""
    return sum(canonical(one) is not None for one in smiles) / max(1, len(smiles))


def generation_figures(
    smiles: Sequence[str], training: Collection[str], reference: NDArray[np.float32]
) -> dict[str, float]:
    """Validity; the share of distinct ones among the valid (uniqueness), of new ones among those (novelty); internal
    diversity of the first 1,000 of them; Wasserstein distance of each property's distribution to that of real ones.

    What has no meaning because too few strings are valid is left out.

    Args:
        smiles: what was drawn.
        training: canonical SMILES of the training molecules.
        reference: properties of real molecules that were not trained on, ``(N, 3)``.
    """
    valid = [form for form in map(canonical, smiles) if form is not None]
    figures = {"validity": len(valid) / max(1, len(smiles))}
    if not valid:
        return figures
    distinct = list(dict.fromkeys(valid))
    known = set(training)
    figures["uniqueness"] = len(distinct) / len(valid)
    figures["novelty"] = sum(form not in known for form in distinct) / len(distinct)
    figures["internal_diversity"] = internal_diversity(distinct[:MOST])
    found = properties(valid)
    for place, name in enumerate(PROPERTIES):
        figures[f"wasserstein_{name}"] = float(wasserstein_distance(found[:, place], reference[:, place]))
    return figures
