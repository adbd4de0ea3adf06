"""The adversarial autoencoder."""

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from lit_ae.adversaries import TRAINING_ONLY, Discriminator
from lit_ae.latents import Point
from lit_ae.metrics.coverage import coverage
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.priors import Prior, StandardNormal
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec
from lit_ae.training_plans import Adversarial

COLLAPSED = 0.5  # coverage of the prior below which it is said at the end of the training


class AdversarialAutoencoder(LitAutoencoder):
    """Codes that a discriminator can't tell from draws of a prior (Makhzani et al. 2016, section 2): any prior.

    Args:
        spec: what the data is; handed over by the data module.
        prior: what the codes of the data are to be distributed like, all together.
        adversarial: weight of the encoder's cost -log D(z), where D(z) is the probability of z being the prior's.
        discriminator_hidden: widths of the discriminator's hidden layers.
        adversary_optimizer: the discriminator's optimizer; by default one as the autoencoder's.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        prior: Callable[[int], Prior] = StandardNormal,
        adversarial: float | Schedule = 1.0,
        discriminator_hidden: list[int] = [128, 128],  # noqa: B006 - never changed, and shown as the default
        adversary_optimizer: OptimizerCallable | None = None,
        **kwargs: Any,
    ):
        super().__init__(spec, **kwargs)
        self.prior: Prior = prior(self.latent_dim)
        self.adversarial = Schedule.of(adversarial)
        self.discriminator = Discriminator(self.latent_dim, discriminator_hidden)
        self.training_plan = Adversarial(self.discriminator, adversary_optimizer)

    def terms(self, passed: Pass[Point]) -> dict[str, Tensor]:
        z = passed.z[0]
        adversarial = F.softplus(-self.discriminator.judge(z))
        own = self.discriminator.cost(self.prior.like(z), z)
        return {**super().terms(passed), "adversarial": adversarial, "discriminator": own}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {"adversarial": self.adversarial, "discriminator": TRAINING_ONLY}

    def figures(self, passed: Pass[Point]) -> dict[str, Tensor]:
        return {"prior_coverage": coverage(self.prior.like(passed.z[0]), passed.z[0])}

    def alarms(self, figures: Mapping[str, float]) -> list[str]:
        share = figures.get("val/prior_coverage", 1.0)
        text = f"Codes cover {share:.0%} of the prior alone (mode collapse): raise model.adversarial or train longer."
        return [text] if share < COLLAPSED else []
