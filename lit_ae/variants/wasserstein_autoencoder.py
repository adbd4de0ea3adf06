"""The Wasserstein autoencoder with a maximum mean discrepancy."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.latents import Point, StandardNormal
from lit_ae.metrics.discrepancy import inverse_multiquadratic_mmd
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec


class WassersteinAutoencoder(LitAutoencoder):
    """Codes of a batch, taken together, are drawn towards the prior N(0, I) (Tolstikhin et al. 2018, algorithm 2).

    The term ``mmd`` is the unbiased estimate of the squared discrepancy between a batch's codes and as many draws from
    the prior, so it has no unit and may be negative. Over several processes each compares its own rows: the mean of
    their estimates is unbiased too, and as noisy as batches of that size are.

    Args:
        spec: what the data is; handed over by the data module.
        mmd: weight of the discrepancy beside the reconstruction in nats: a number, or a schedule. With a Gaussian of
            variance 1 it is half of the paper's lambda, whose distance is the whole squared error.
        scales: multiples of twice the latent size that are the kernels' constants; their kernels are summed.
    """

    prior: StandardNormal

    def __init__(
        self,
        spec: DataSpec,
        *,
        mmd: float | Schedule = 10.0,
        scales: list[float] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],  # noqa: B006 - never changed, and shown
        **kwargs: Any,
    ):
        self.mmd, self.scales = Schedule.of(mmd), scales
        if self.mmd.final < 0 or not scales or min(scales) <= 0:
            raise UserError("WassersteinAutoencoder needs mmd >= 0 and scales above 0.")
        super().__init__(spec, **kwargs)
        self.prior = StandardNormal(self.latent_dim)

    def terms(self, passed: Pass[Point]) -> dict[str, Tensor]:
        codes = passed.latent.mean
        discrepancy = inverse_multiquadratic_mmd(codes, self.prior.like(codes), self.scales)
        return {**super().terms(passed), "mmd": discrepancy.expand(len(codes))}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {"mmd": self.mmd}
