"""Judging a trained model once on the test split, with principal components of the same size beside it."""

from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from data.base import LitData
from lit_ae.latents import DiagonalGaussian
from lit_ae.metrics.baseline import PrincipalComponents
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.generative import active_units, importance_log_likelihood, posterior_parts
from lit_ae.metrics.probe import linear_probe_accuracy
from lit_ae.metrics.reconstruction import reconstruction_figures, squared_error, ssim_sigma
from lit_ae.module import LitAutoencoder
from lit_ae.spec import DataSpec
from pipelines.options import Evaluation


@dataclass
class Verdict:
    """What the test split showed.

    Attributes:
        figures: by MLflow key, such as ``test/mse`` and ``pca/mse``.
        protocol: a sentence for each figure that needs one.
        errors: mean squared error of each test row, ``(N,)``; and those of PCA.
        codes: test codes ``(N, latent_dim)``.
        kl: mean KL in nats of each latent dimension, or None.
    """

    figures: dict[str, float]
    protocol: dict[str, str]
    errors: Tensor
    pca_errors: Tensor
    codes: Tensor
    kl: Tensor | None = None


def evaluate(model: LitAutoencoder, data: LitData, asked: Evaluation, tester: L.Trainer) -> Verdict:
    """Every figure of the test split; the model ends on the device that it is judged on, in evaluation mode.

    Args:
        model: the trained model.
        data: gives the splits.
        asked: what to measure.
        tester: a Trainer of one device; its precision is the model's.
    """
    objective = tester.test(model, data, verbose=False)[0]
    model = model.eval().to(tester.strategy.root_device)
    fit, test = data.split("fit"), data.split("test")
    codes = in_chunks(model.encode, test.x, device=model.device)
    x_hat = in_chunks(model, test.x, device=model.device)
    pca = PrincipalComponents(fit.x, model.latent_dim)
    pca_hat = pca.reconstruct(test.x)
    figures = {key: value for key, value in objective.items() if key != "test/mse"}
    figures |= _prefixed("test", reconstruction_figures(test.x, x_hat, data.spec))
    figures |= _prefixed("pca", reconstruction_figures(test.x, pca_hat, data.spec))
    verdict = Verdict(figures, {}, squared_error(test.x, x_hat), squared_error(test.x, pca_hat), codes)
    _note_reconstruction(verdict, data.spec, pca.components)
    if model.corruption is not None:
        _judge_denoising(model, test.x, verdict)
    if isinstance(model.posterior(test.x[:1].to(model.device)), DiagonalGaussian):
        _judge_density(model, test.x, asked, verdict)
    knows_all_classes = data.rows["test"].anomaly is None
    if asked.probe_rows and knows_all_classes and fit.y is not None and test.y is not None:
        _judge_probe(model, fit, test, pca, asked.probe_rows, verdict)
    return verdict


def _prefixed(group: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in figures.items()}


def _note_reconstruction(verdict: Verdict, spec: DataSpec, components: int) -> None:
    values = f"values in {list(spec.value_range)}" if spec.value_range else "model space"
    verdict.protocol["mse"] = f"mean over test rows and features, {values}, binarize {spec.binarize}"
    verdict.protocol["pca"] = f"PCA with {components} components, fitted on the training split"
    if "test/ssim" in verdict.figures:
        verdict.protocol["psnr"] = "dB, of the MSE over the whole split"
        verdict.protocol["ssim"] = f"mean over test images, Gaussian window of sigma {ssim_sigma(spec)} pixels"


def _judge_denoising(model: LitAutoencoder, x: Tensor, verdict: Verdict) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noisy = in_chunks(model.corrupt, x)
    denoised = in_chunks(model, noisy, device=model.device)
    verdict.figures |= _prefixed("test/denoised", reconstruction_figures(x, denoised, model.spec))
    verdict.figures |= _prefixed("test/corrupted", reconstruction_figures(x, noisy, model.spec))
    verdict.protocol["denoised"] = "reconstruction of the corrupted test input, and that input itself, to the clean one"


def _judge_density(model: LitAutoencoder, x: Tensor, asked: Evaluation, verdict: Verdict) -> None:
    """The ELBO and its parts, active units, and the importance-sampled NLL, all in nats a sample."""

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


def _range(spec: DataSpec) -> str:
    return str(list(spec.value_range)) if spec.value_range else "any range"


def _judge_probe(model: LitAutoencoder, fit: Any, test: Any, pca: PrincipalComponents, rows: int, to: Verdict) -> None:
    x, y = fit.x[:rows], fit.y[:rows]
    codes = in_chunks(model.encode, x, device=model.device)
    to.figures["test/linear_probe"] = linear_probe_accuracy(codes, y, to.codes, test.y, rows)
    to.figures["pca/linear_probe"] = linear_probe_accuracy(pca.encode(x), y, pca.encode(test.x), test.y, rows)
    to.protocol["linear_probe"] = f"test accuracy of a logistic regression on the codes of {len(x)} training rows"
