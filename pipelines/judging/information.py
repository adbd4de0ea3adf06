"""How much the code tells of the input."""

import math

import torch
from torch import Tensor

from data.base import LitData
from lit_ae.latents import DiagonalGaussian
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.generative import posterior_parts
from lit_ae.metrics.information import mutual_information
from lit_ae.module import LitAutoencoder
from pipelines.judging.density import has_gaussian_posterior
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def judge_information(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """The mutual information of code and input, and how far all codes together are from the prior, in nats."""
    x = data.split("test").x[: asked.information_rows]
    if len(x) < 2 or not has_gaussian_posterior(model, x):
        return

    def mean_and_log_var(rows: Tensor) -> Tensor:
        latent = posterior_parts(model, rows)
        return torch.stack([latent.mean, latent.log_var], 1)

    latent = DiagonalGaussian(*in_chunks(mean_and_log_var, x, device=model.device).double().unbind(1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        information = mutual_information(latent, latent.sample()).item()
    kl = latent.kl_per_dimension().sum(1).mean().item()
    verdict.add("test", {"aggregate_mi": information, "aggregate_kl": kl - information})
    verdict.protocol["aggregate_mi"] = (
        f"I(x; z), nats that a draw z from q(z|x) tells of which of {len(x)} test rows x is, with the mean of their "
        f"q(z|x) as q(z): at most {math.log(len(x)):.2f}; aggregate_kl is KL(q(z) || p(z)), the rest of their mean KL"
    )
