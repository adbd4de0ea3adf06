"""How sure a share of rows is."""

from scipy.stats import beta


def clopper_pearson(successes: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934), for trials that are independent.

    Both counts may be fractions, such as those of rows that are worth fewer independent ones.
    """
    outside = (1 - confidence) / 2
    low = 0.0 if successes <= 0 else float(beta.ppf(outside, successes, trials - successes + 1))
    high = 1.0 if successes >= trials else float(beta.ppf(1 - outside, successes + 1, trials - successes))
    return low, high
