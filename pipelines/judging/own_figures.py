"""Test figures that some variants alone have, each with that of principal components of the same size beside it."""

import torch
from torch import Tensor

from data.base import LitData
from lit_ae.metrics.baseline import PrincipalComponents
from lit_ae.metrics.chunks import in_chunks
from lit_ae.module import LitAutoencoder
from lit_ae.variants import Autoencoder, MaskedAutoencoder
from pipelines.judging.verdict import Verdict
from pipelines.options import Evaluation

Judged = tuple[dict[str, float], dict[str, str]]


def judge_own_figures(model: LitAutoencoder, data: LitData, asked: Evaluation, verdict: Verdict) -> None:
    """What a masked or a grown code is for, see :func:`own_figures`."""
    figures, protocol = own_figures(model, data.split("test").x, verdict.pca)
    verdict.figures |= figures
    verdict.protocol |= protocol


def own_figures(model: LitAutoencoder, x: Tensor, pca: PrincipalComponents) -> Judged:
    """The figures by MLflow key, and a sentence on how each was made; both empty for most variants.

    Args:
        model: in evaluation mode, on the device that it is judged on.
        x: the test rows, on the CPU.
        pca: fitted on the training rows, of the model's size.
    """
    if isinstance(model, MaskedAutoencoder):
        return _filling(model, x, pca)
    if isinstance(model, Autoencoder) and model.growth_epochs:
        return _grown_code(model, x, pca)
    return {}, {}


@torch.no_grad()
def _filling(model: MaskedAutoencoder, x: Tensor, pca: PrincipalComponents) -> Judged:
    """How well what is hidden is told from what is seen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden = model.draw_mask(x)[1]
    errors = {"test": 0.0, "pca": 0.0}
    for rows, masked in zip(x.split(1000), hidden.split(1000), strict=True):
        places = model.network.tokens.spread(masked)
        filled = model.fill_in(rows.to(model.device), masked.to(model.device)).cpu()
        for who, guess in (("test", filled), ("pca", pca.fill_in(rows, places))):
            errors[who] += (guess - rows)[places].double().square().sum().item()
    count = model.network.tokens.spread(hidden).sum().item()
    figures = {f"{who}/hidden_mse": error / count for who, error in errors.items()}
    how = f"{1 - model.visible_share:.0%} of the tokens of each test row hidden at random, the same for both; mean over"
    return figures, {"hidden_mse": f"{how} the hidden features. PCA: their conditional mean (probabilistic PCA)"}


def _grown_code(model: Autoencoder, x: Tensor, pca: PrincipalComponents) -> Judged:
    """How much the first quarter of the code tells."""
    count = max(1, model.latent_dim // 4)

    def from_the_first(rows: Tensor) -> Tensor:
        latent = model.posterior(rows)
        first = torch.arange(model.latent_dim, device=rows.device) < count
        return model.decode(latent.mean * first, latent.skips)

    guesses = {"test": in_chunks(from_the_first, x, device=model.device), "pca": pca.first(count, x)}
    figures = {
        f"{who}/first_quarter_mse": (x - x_hat).double().square().mean().item() for who, x_hat in guesses.items()
    }
    return figures, {"first_quarter_mse": f"the first {count} numbers of the code alone, the others 0"}
