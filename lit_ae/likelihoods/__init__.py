"""How x̂ is compared with x. A likelihood owns the activation of the decoder's output."""

from lit_ae.likelihoods.base import Likelihood
from lit_ae.likelihoods.counts import Multinomial, Poisson
from lit_ae.likelihoods.levels import Categorical
from lit_ae.likelihoods.real import Gaussian, Laplace
from lit_ae.likelihoods.unit_interval import Bernoulli, ContinuousBernoulli

__all__ = [
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "Multinomial",
    "Poisson",
]
