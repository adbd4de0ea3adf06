"""The test figures against direct computations on a small model."""

from functools import partial

import lightning as L
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from data import Digits
from lit_ae.corruptions import GaussianNoise
from lit_ae.likelihoods import Bernoulli
from lit_ae.metrics.reconstruction import reconstruction_figures
from lit_ae.networks import MLP
from lit_ae.variants import VAE, Autoencoder
from pipelines.evaluation import evaluate
from pipelines.options import Evaluation

DATA = Digits(seed=0)


def tester():
    return L.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,
        use_distributed_sampler=False,
    )


def a_model(variant=VAE, **options):
    L.seed_everything(3, verbose=False)
    return variant(DATA.spec, latent_dim=5, network=partial(MLP, hidden=[16]), **options)


def test_a_vaes_figures_are_what_they_are_called():
    model = a_model(likelihood=Bernoulli, beta=2.0)
    asked = Evaluation(nll_samples=20, nll_rows=100, probe_rows=500)
    verdict = evaluate(model, DATA, asked, tester())
    x, figures = DATA.split("test").x, verdict.figures
    with torch.no_grad():
        error = (model(x) - x).square()
        latent = model.posterior(x)
        kl = latent.kl_per_dimension()
        at_mean = model.log_likelihood(x, latent.mean[None])[0]
    assert figures["test/mse"] == pytest.approx(error.mean().item(), rel=1e-5)
    assert verdict.errors.mean().item() == pytest.approx(figures["test/mse"], rel=1e-5)
    assert figures["test/psnr"] == pytest.approx(-10 * torch.log10(error.mean()).item(), rel=1e-4)
    assert figures["test/kl"] == pytest.approx(kl.sum(1).mean().item(), rel=1e-4)
    assert torch.allclose(verdict.kl, kl.mean(0), atol=1e-5)
    assert figures["test/loss"] == pytest.approx(figures["test/reconstruction"] + 2 * figures["test/kl"], rel=1e-5)
    assert figures["test/elbo"] == pytest.approx(-figures["test/reconstruction"] - figures["test/kl"], rel=1e-6)
    assert figures["test/elbo_at_mean"] == pytest.approx((at_mean - kl.sum(1)).mean().item(), rel=1e-4)
    assert -figures["test/nll"] > figures["test/elbo"] - 0.5
    for word in ("Bernoulli", "[0.0, 1.0]", "binarize none", "20 importance samples", "100 test rows"):
        assert word in verdict.protocol["nll"]


def test_pca_of_the_same_size_stands_beside_on_the_same_split():
    verdict = evaluate(a_model(Autoencoder), DATA, Evaluation(), tester())
    fit, test = DATA.split("fit"), DATA.split("test")
    pca = PCA(5).fit(fit.x.flatten(1).numpy())
    codes = pca.transform(test.x.flatten(1).numpy())
    error = ((pca.inverse_transform(codes) - test.x.flatten(1).numpy()) ** 2).mean()
    assert verdict.figures["pca/mse"] == pytest.approx(error, rel=1e-4)
    scaler = StandardScaler().fit(pca.transform(fit.x.flatten(1).numpy()))
    probe = LogisticRegression(max_iter=1000)
    probe.fit(scaler.transform(pca.transform(fit.x.flatten(1).numpy())), fit.y.numpy())
    accuracy = probe.score(scaler.transform(codes), test.y.numpy())
    assert verdict.figures["pca/linear_probe"] == pytest.approx(accuracy, abs=0.01)
    assert not {"test/elbo", "test/nll", "test/kl"} & verdict.figures.keys()


def test_a_denoising_model_is_judged_on_damaged_input_against_the_clean_one():
    model = a_model(Autoencoder, corruption=partial(GaussianNoise, sigma=0.3))
    figures = evaluate(model, DATA, Evaluation(probe_rows=0), tester()).figures
    assert figures["test/corrupted/mse"] > 0.02
    assert {"test/denoised/mse", "test/denoised/psnr", "test/denoised/ssim"} <= figures.keys()
    assert "test/linear_probe" not in figures


def test_twice_gives_the_same_figures():
    model = a_model(corruption=GaussianNoise)
    asked = Evaluation(nll_samples=7, probe_rows=200)
    assert evaluate(model, DATA, asked, tester()).figures == evaluate(model, DATA, asked, tester()).figures


def test_a_perfect_reconstruction_is_perfect():
    x = DATA.split("test").x[:20]
    figures = reconstruction_figures(x, x.clone(), DATA.spec)
    assert figures["mse"] == 0
    assert figures["psnr"] == float("inf")
    assert figures["ssim"] == pytest.approx(1, abs=1e-5)
