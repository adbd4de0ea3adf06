"""How likely a variational model finds the data, and how it uses its latent."""

import torch
from torch import Tensor

from data.base import LitData
from lit_ae.latents import DiagonalGaussian
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.generative import active_units, importance_log_likelihood, posterior_parts
from lit_ae.module import LitAutoencoder
from lit_ae.spec import DataSpec
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def judge_density(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """The ELBO and its parts, active units, and the importance-sampled NLL, all in nats a sample."""
    x = data.split("test").x
    if not has_gaussian_posterior(model, x):
        return

    def kl(rows: Tensor) -> Tensor:
        return posterior_parts(model, rows).kl_per_dimension()

    def log_likelihood_at_mean(rows: Tensor) -> Tensor:
        latent = posterior_parts(model, rows)
        return model.log_likelihood(rows, latent.mean[None], latent.skips)[0]

    figures = verdict.figures
    verdict.kl = in_chunks(kl, x, device=model.device).mean(0)
    total_kl = verdict.kl.double().sum().item()
    figures["test/elbo"] = -(figures["test/reconstruction"] + total_kl)
    at_mean = in_chunks(log_likelihood_at_mean, x, device=model.device).double().mean().item()
    figures["test/elbo_at_mean"] = at_mean - total_kl
    figures["test/active_units"] = float(active_units(verdict.codes))
    spec, likelihood = model.spec, type(model.likelihood).__name__
    terms = f"nats a sample, {likelihood}, values in {_range(spec)}, binarize {spec.binarize}"
    verdict.protocol["elbo"] = f"{terms}; z drawn once a row; elbo_at_mean takes z = mean instead"
    if asked.nll_samples:
        rows = x[: asked.nll_rows or len(x)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            figures["test/nll"] = -importance_log_likelihood(model, rows, asked.nll_samples).mean().item()
        verdict.protocol["nll"] = f"{terms}; {asked.nll_samples} importance samples, {len(rows)} test rows"


def has_gaussian_posterior(model: LitAutoencoder, x: Tensor) -> bool:
    """Whether the model makes a diagonal Gaussian of ``x``, and no point."""
    with torch.no_grad():
        return isinstance(model.posterior(x[:1].to(model.device)), DiagonalGaussian)


def _range(spec: DataSpec) -> str:
    return str(list(spec.value_range)) if spec.value_range else "any range"
