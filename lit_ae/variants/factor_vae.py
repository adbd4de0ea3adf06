"""The factor VAE."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from lit_ae.adversaries import TRAINING_ONLY, Discriminator, permute_dimensions
from lit_ae.errors import UserError
from lit_ae.latents import DiagonalGaussian
from lit_ae.module import Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec
from lit_ae.training_plans import Adversarial
from lit_ae.variants.vae import VAE


class FactorVAE(VAE):
    """A VAE whose codes' dimensions are made independent of each other (Kim & Mnih 2018, equation 2).

    The total correlation KL(q(z) || prod_j q(z_j)) is estimated in nats by the logit of a discriminator between codes
    and codes with every dimension shuffled over the batch (equation 3); one batch serves both, in each process its own.

    Args:
        spec: what the data is; handed over by the data module.
        gamma: weight of the total correlation, beside the ELBO.
        discriminator_hidden: widths of the discriminator's hidden layers.
        adversary_optimizer: the discriminator's optimizer; by default one as the autoencoder's.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        gamma: float | Schedule = 10.0,
        discriminator_hidden: list[int] = [256, 256],  # noqa: B006 - never changed, and shown as the default
        adversary_optimizer: OptimizerCallable | None = None,
        **kwargs: Any,
    ):
        super().__init__(spec, **kwargs)
        if self.draws > 1 or self.latent_dim < 2:
            raise UserError("FactorVAE needs importance_samples 1 and a latent_dim of at least 2.")
        self.gamma = Schedule.of(gamma)
        self.discriminator = Discriminator(self.latent_dim, discriminator_hidden)
        self.training_plan = Adversarial(self.discriminator, adversary_optimizer)

    def terms(self, passed: Pass[DiagonalGaussian]) -> dict[str, Tensor]:
        z = passed.z[0]
        own = self.discriminator.cost(z, permute_dimensions(z.detach()))
        return {**super().terms(passed), "total_correlation": self.discriminator.judge(z), "discriminator": own}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {**super().weights, "total_correlation": self.gamma, "discriminator": TRAINING_ONLY}
