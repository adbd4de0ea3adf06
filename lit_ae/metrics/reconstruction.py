"""How near x̂ comes to x."""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from lit_ae.spec import DataSpec


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """The mean squared error per feature of each sample: ``(N, ...)`` twice to ``(N,)``."""
    return (x_hat - x).square().flatten(1).mean(1)


def token_accuracy(x: Tensor, x_hat: Tensor, pad: float | None) -> Tensor:
    """The share of each sequence's tokens, the end mark's included and padding left out, that come back in their place:
    ids ``(N, T)`` twice to ``(N,)``; 1 for a sequence that is all padding.
    """
    real = torch.ones_like(x, dtype=torch.bool) if pad is None else x != pad
    wrong = ((x != x_hat) & real).sum(1)
    return 1 - wrong / real.sum(1).clamp(min=1)


def reconstruction_measure(x: Tensor, x_hat: Tensor, spec: DataSpec) -> tuple[str, Tensor]:
    """The figure that tells how near x̂ comes, by name, for each sample ``(N,)``: token accuracy, else the MSE."""
    if spec.kind == "sequence":
        return "token_accuracy", token_accuracy(x, x_hat, spec.pad)
    return "mse", squared_error(x, x_hat)


def reconstruction_errors(x: Tensor, x_hat: Tensor, spec: DataSpec) -> Tensor:
    """How far x̂ is from each sample, ``(N,)``: the share of wrong tokens of a sequence, else the MSE per feature."""
    name, measured = reconstruction_measure(x, x_hat, spec)
    return measured if name == "mse" else 1 - measured


def error_name(spec: DataSpec) -> str:
    """What :func:`reconstruction_errors` are, for people."""
    return "share of wrong tokens" if spec.kind == "sequence" else "MSE per feature"


def reconstruction_figures(x: Tensor, x_hat: Tensor, spec: DataSpec) -> dict[str, float]:
    """MSE per feature; for images also PSNR in dB (of the split's MSE) and the mean SSIM (Wang et al. 2004).

    For sequences instead the token accuracy and the share of sequences that come back exactly, padding left out.

    Args:
        x: targets ``(N, *spec.shape)`` in model space.
        x_hat: reconstructions of the same shape.
        spec: gives the kind and the value range.
    """
    if spec.kind == "sequence":
        accuracy = token_accuracy(x, x_hat, spec.pad).double()
        return {"token_accuracy": accuracy.mean().item(), "exact": (accuracy == 1).double().mean().item()}
    mse = squared_error(x, x_hat).double().mean()
    figures = {"mse": mse.item()}
    if spec.kind == "image" and spec.value_range is not None:
        span = spec.value_range[1] - spec.value_range[0]
        figures["psnr"] = (10 * torch.log10(span**2 / mse)).item()
        figures["ssim"] = _ssim(x, x_hat, span, ssim_sigma(spec))
    return figures


def ssim_sigma(spec: DataSpec) -> float:
    """The window's standard deviation in pixels: the usual 1.5 (11 x 11), or 0.5 (5 x 5) for sides below 16."""
    return 1.5 if min(spec.shape[1:]) >= 16 else 0.5


def _ssim(x: Tensor, x_hat: Tensor, span: float, sigma: float) -> float:
    total = 0.0
    for some, some_hat in zip(x.split(1000), x_hat.split(1000), strict=True):
        values = structural_similarity_index_measure(some_hat, some, sigma=sigma, data_range=span, reduction="none")
        assert isinstance(values, Tensor)
        total += values.double().sum().item()
    return total / len(x)
