"""Made-up sensor readings with known spikes, and the score that no other can beat on them."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp
from scipy.stats import multivariate_normal

SENSORS, CORRELATION = 50, 0.3
SPIKED = tuple(range(0, SENSORS, 5))
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
Array = NDArray[np.float64]


def normal_readings(rows: int, rng: np.random.Generator) -> Array:
    """Readings ``(rows, 50)``: each standard normal, each two sensors correlated by 0.3 through one shared factor."""
    shared, own = rng.normal(size=(rows, 1)), rng.normal(size=(rows, SENSORS))
    return math.sqrt(CORRELATION) * shared + math.sqrt(1 - CORRELATION) * own


def spiked_readings(rows: int, rng: np.random.Generator, low: float, high: float) -> Array:
    """Such readings, each of the ten sensors ``SPIKED`` raised by a number between ``low`` and ``high`` (evenly)."""
    readings = normal_readings(rows, rng)
    readings[:, SPIKED] += rng.uniform(low, high, (rows, len(SPIKED)))
    return readings


def optimal_scores(readings: Array, low: float, high: float) -> Array:
    """The log-likelihood ratio of spiked to normal readings, in nats ``(rows,)``.

    By the lemma of Neyman and Pearson (1933) no score finds more of the spiked rows at any rate of false alarms. Given
    the forty other sensors the shared factor is Gaussian; the ten spiked ones are independent given the factor, over
    which Gauss-Hermite quadrature integrates.

    Args:
        readings: ``(rows, 50)``.
        low: the smallest spike.
        high: the largest one.
    """
    own = 1 - CORRELATION
    others = np.delete(readings, SPIKED, axis=1)
    precision = own + CORRELATION * others.shape[1]
    mean, variance = CORRELATION * others.sum(1) / precision, CORRELATION * own / precision
    rest = readings[:, SPIKED] - mean[:, None]
    as_normal = multivariate_normal(cov=own * np.eye(len(SPIKED)) + variance).logpdf(rest)
    at_nodes = rest[:, :, None] - math.sqrt(variance) * NODES
    densities = _spiked_density(at_nodes, math.sqrt(own), low, high).sum(1)
    as_spiked = logsumexp(densities + np.log(WEIGHTS / WEIGHTS.sum()), axis=1)
    return as_spiked - as_normal


def _spiked_density(values: Array, deviation: float, low: float, high: float) -> Array:
    """The log-density of a Gaussian of mean 0 plus a uniform number between low and high."""
    upper, lower = (values - low) / deviation, (values - high) / deviation
    is_right = lower > 0
    larger = log_ndtr(np.where(is_right, -lower, upper))
    smaller = log_ndtr(np.where(is_right, -upper, lower))
    return larger + np.log1p(-np.exp(smaller - larger)) - math.log(high - low)
