"""Whether an explanation names the features that made a row anomalous."""

import numpy as np
from scipy.stats import rankdata

from lit_ae.metrics.ranking import Booleans, Floats


def hit_rate(contribution: Floats, spiked: Booleans) -> float:
    """HitRate@100 % (Su et al. 2019, OmniAnomaly): of a row's g true features, the share among its top g.

    The mean over rows that have such features. Of features that contribute alike none is preferred: a true one counts
    as hit only if it is among the top g with all of its ties before it.

    Args:
        contribution: how much each feature adds to a row's score ``(N, D)``.
        spiked: the features that are truly anomalous ``(N, D)``.
    """
    count = spiked.sum(axis=1)
    rows = count > 0
    rank = rankdata(-contribution[rows], method="max", axis=1)
    hits = (spiked[rows] & (rank <= count[rows, None])).sum(axis=1)
    return float(np.mean(hits / count[rows]))
