"""The variational autoencoder."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.latents import DiagonalGaussian
from lit_ae.module import Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec
from lit_ae.variational import Variational

REPORTED = Schedule.of(0.0)  # the weight of a term that is shown and not trained


class VAE(Variational):
    """A Gaussian latent under a standard normal prior (Kingma & Welling 2014), maximising the ELBO or a tighter bound.

    Args:
        spec: what the data is; handed over by the data module.
        beta: weight of the KL divergence in nats (Higgins et al. 2017, equation 4): a number, or a schedule such as
            LinearWarmup or Cyclical. 1 is the ELBO.
        free_bits: nats of KL in each latent dimension, averaged over the batch, that cost the same as none
            (Kingma et al. 2016, equation 15).
        importance_samples: above 1, the importance-weighted bound with so many draws (Burda et al. 2016, equation 8).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        beta: float | Schedule = 1.0,
        free_bits: float = 0.0,
        importance_samples: int = 1,
        **kwargs: Any,
    ):
        self.beta = Schedule.of(beta)
        if importance_samples < 1 or free_bits < 0 or self.beta.final < 0:
            raise UserError("VAE needs importance_samples >= 1, free_bits >= 0 and beta >= 0.")
        if importance_samples > 1 and (free_bits or self.beta.final != 1 or self.beta.length):
            raise UserError("The importance-weighted bound has no beta and no free bits: set importance_samples to 1.")
        super().__init__(spec, **kwargs)
        self.free_bits, self.draws = free_bits, importance_samples

    def terms(self, passed: Pass[DiagonalGaussian]) -> dict[str, Tensor]:
        kl = passed.latent.kl_per_dimension()
        terms = {**super().terms(passed), "kl": kl.sum(1)}
        if self.free_bits:
            lacking = (self.free_bits - self.mean_over_processes(kl)).clamp(min=0)
            terms["free_bits"] = lacking.sum().expand(len(kl))
        if self.draws > 1:
            terms["importance_bound"] = self.importance_bound(passed)
        return terms

    @property
    def weights(self) -> Mapping[str, Schedule]:
        if self.draws > 1:
            return {"reconstruction": REPORTED, "kl": REPORTED}
        return {"kl": self.beta, **({"free_bits": self.beta} if self.free_bits else {})}
