"""How near x̂ comes to x."""

import torch

from data.base import LitData
from lit_ae.metrics.chunks import in_chunks
from lit_ae.metrics.reconstruction import reconstruction_figures, ssim_sigma
from lit_ae.module import LitAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation


def judge_reconstruction(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """MSE, and for images PSNR and SSIM, with PCA's beside them."""
    spec, x = data.spec, data.split("test").x
    verdict.add("test", reconstruction_figures(x, verdict.x_hat, spec))
    verdict.add("pca", reconstruction_figures(x, verdict.pca.reconstruct(x), spec))
    values = f"values in {list(spec.value_range)}" if spec.value_range else "model space"
    verdict.protocol["mse"] = f"mean over test rows and features, {values}, binarize {spec.binarize}"
    verdict.protocol["pca"] = f"PCA with {verdict.pca.components} components, fitted on the training split"
    if "test/ssim" in verdict.figures:
        verdict.protocol["psnr"] = "dB, of the MSE over the whole split"
        verdict.protocol["ssim"] = f"mean over test images, Gaussian window of sigma {ssim_sigma(spec)} pixels"


def judge_denoising(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """How near the reconstruction of a corrupted input comes to the clean one, for models with a corruption."""
    if model.corruption is None:
        return
    x = data.split("test").x
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noisy = in_chunks(model.corrupt, x)
    denoised = in_chunks(model, noisy, device=model.device)
    verdict.add("test/denoised", reconstruction_figures(x, denoised, model.spec))
    verdict.add("test/corrupted", reconstruction_figures(x, noisy, model.spec))
    verdict.protocol["denoised"] = "reconstruction of the corrupted test input, and that input itself, to the clean one"
