"""The VAE whose KL divergence is taken apart."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from lit_ae.aggregate import kl_parts
from lit_ae.errors import UserError
from lit_ae.latents import DiagonalGaussian
from lit_ae.module import Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec
from lit_ae.variational import Variational


class BetaTCVAE(Variational):
    """Weights the three parts of the KL divergence apart (Chen et al. 2018, equation 4), in nats.

    Each batch (of each process alone) stands for all training rows, whose number is noted when a training starts and
    kept with the model; until then the batch counts as all of them.

    Args:
        spec: what the data is; handed over by the data module.
        alpha: weight of the mutual information between a row's index and its code; a number or a schedule, like all.
        beta: weight of the total correlation, 0 where the latent dimensions are independent.
        gamma: weight of the KL divergence of each dimension's q(z_j) from the prior.
        sampling: how a batch stands for all rows (appendix C.2); weighted (C.1) shifts the parts by multiples of the
            log of the number of rows, so only their sum and their gradients mean something.
    """

    training_rows: Tensor

    def __init__(
        self, spec: DataSpec, *, alpha: float | Schedule = 1.0, beta: float | Schedule = 6.0,
        gamma: float | Schedule = 1.0, sampling: Literal["stratified", "weighted"] = "stratified", **kwargs: Any
    ):  # fmt: skip
        parts = {"mutual_information": alpha, "total_correlation": beta, "dimension_wise_kl": gamma}
        self._weights = {name: Schedule.of(weight) for name, weight in parts.items()}
        if min(weight.final for weight in self._weights.values()) < 0 or sampling not in ("stratified", "weighted"):
            raise UserError("BetaTCVAE needs alpha, beta, gamma >= 0 and sampling stratified or weighted.")
        super().__init__(spec, **kwargs)
        self.sampling = sampling
        self.register_buffer("training_rows", torch.zeros(()))

    def on_fit_start(self) -> None:
        super().on_fit_start()
        loader = self.trainer.train_dataloader
        assert loader is not None
        self.training_rows.fill_(len(loader.dataset))

    def terms(self, passed: Pass[DiagonalGaussian]) -> dict[str, Tensor]:
        parts = kl_parts(passed.latent, passed.z[0], self.prior, self.training_rows, self.sampling)
        return {**super().terms(passed), **parts}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return self._weights
