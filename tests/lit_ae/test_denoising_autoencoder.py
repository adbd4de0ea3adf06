"""The denoising autoencoder against its input, and against a median filter (scipy's)."""

from functools import partial

import lightning as L
import pytest
import torch
from scipy.ndimage import median_filter

from data import Digits
from lit_ae.corruptions import GaussianNoise, LowerResolution, Masking, MissingBlocks, SaltAndPepper
from lit_ae.errors import UserError
from lit_ae.likelihoods import Gaussian
from lit_ae.metrics.reconstruction import reconstruction_figures
from lit_ae.networks import MLP
from lit_ae.variants import DenoisingAutoencoder

DATA = Digits(batch_size=64, seed=0)
bounded = partial(Gaussian, variance=0.05, bounded=True)


def trained(corruption=GaussianNoise):
    L.seed_everything(0, verbose=False)
    model = DenoisingAutoencoder(
        DATA.spec, latent_dim=24, network=partial(MLP, hidden=[256]), likelihood=bounded, corruption=corruption,
        optimizer=partial(torch.optim.Adam, lr=0.003),
    )  # fmt: skip
    trainer = L.Trainer(
        max_epochs=20, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(model, DATA)
    return model.eval()


def median(x):
    return torch.from_numpy(median_filter(x.numpy(), size=(1, 1, 3, 3)))


def test_the_noise_is_half_of_the_range_and_clipped_by_default():
    model = DenoisingAutoencoder(DATA.spec)
    assert isinstance(model.corruption, GaussianNoise)
    assert (model.corruption.sigma, model.corruption.clip) == (0.5, True)


def test_the_clean_input_is_the_target():
    model = DenoisingAutoencoder(DATA.spec, network=partial(MLP, hidden=[8]), corruption=partial(Masking, share=1.0))
    x = DATA.split("test").x[:9]
    passed = model.forward_pass(x, model.corrupt(x))
    blank = model.likelihood.mean(model.network.decode(model.network.encode(torch.zeros_like(x))))
    expected = 0.5 * (x - blank).square().flatten(1).sum(1) + 32 * torch.log(torch.tensor(2 * torch.pi))
    assert torch.equal(passed.x, x)
    assert torch.allclose(model.terms(passed)["reconstruction"], expected, rtol=1e-5)


@pytest.mark.parametrize("corruption", [GaussianNoise, partial(SaltAndPepper, share=0.3), partial(Masking, share=0.4)])
@torch.no_grad()
def test_it_beats_the_noisy_input_and_a_median_filter(corruption):
    with torch.enable_grad():
        model = trained(corruption)
    x = DATA.split("test").x
    torch.manual_seed(1)
    noisy = model.corrupt(x)
    denoised = reconstruction_figures(x, model(noisy), DATA.spec)
    for other in (noisy, median(noisy)):
        figures = reconstruction_figures(x, other, DATA.spec)
        assert denoised["psnr"] > figures["psnr"] + 1
        assert denoised["ssim"] > figures["ssim"] + 0.05


@torch.no_grad()
def test_what_it_paints_into_a_missing_block_is_nearer_than_the_mean_image():
    with torch.enable_grad():
        model = trained(partial(MissingBlocks, height=0.5, width=0.5, value=1.0))
    x = DATA.split("test").x
    torch.manual_seed(1)
    damaged = model.corrupt(x)
    missing = damaged != x
    painted = (model(damaged) - x)[missing].square().mean()
    assert painted < 0.7 * (DATA.split("fit").x.mean(0) - x)[missing].square().mean()


@torch.no_grad()
def test_it_restores_more_than_interpolation():
    with torch.enable_grad():
        model = trained(partial(LowerResolution, factor=2))
    x = DATA.split("test").x
    small = model.corrupt(x)
    restored, interpolated = (reconstruction_figures(x, y, DATA.spec) for y in (model(small), small))
    assert restored["psnr"] > interpolated["psnr"] + 1
    assert restored["ssim"] > interpolated["ssim"]


def test_no_corruption_is_refused():
    with pytest.raises(UserError, match="corruption"):
        DenoisingAutoencoder(DATA.spec, corruption=None)
