"""The base of variants whose encoder gives a Gaussian posterior."""

import math
from abc import abstractmethod
from typing import Any

from torch import Tensor

from lit_ae.latents import DiagonalGaussian, StandardNormal
from lit_ae.metrics.usage import PosteriorUsage
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.spec import DataSpec


class Variational(LitAutoencoder):
    """A diagonal Gaussian q(z|x) by the encoder, under the prior N(0, I) (Kingma & Welling 2014, section 3).

    Args:
        spec: what the data is; handed over by the data module.
    """

    latent_parameters = 2
    prior: StandardNormal

    def __init__(self, spec: DataSpec, **kwargs: Any):
        super().__init__(spec, **kwargs)
        self.prior = StandardNormal(self.latent_dim)

    def latent(self, code: Tensor) -> DiagonalGaussian:
        mean, log_var = code.chunk(2, dim=1)
        return DiagonalGaussian(mean, log_var)

    @abstractmethod
    def terms(self, passed: Pass[DiagonalGaussian]) -> dict[str, Tensor]:
        """The reconstruction; a variant adds what it asks of the posterior."""
        return super().terms(passed)

    def importance_bound(self, passed: Pass[DiagonalGaussian]) -> Tensor:
        """-log of the draws' mean importance weight p(x, z) / q(z|x), nats ``(N,)`` (Burda et al. 2016, equation 8)."""
        log_ratio = self.prior.log_prob(passed.z) - passed.latent.log_prob(passed.z)
        return math.log(len(passed.z)) - (passed.log_likelihood + log_ratio).logsumexp(0)

    def measures(self) -> PosteriorUsage:
        return PosteriorUsage(self.latent_dim)
