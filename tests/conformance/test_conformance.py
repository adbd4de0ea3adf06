"""What every variant must hold to, whatever it asks of the code. A new variant joins by one line in CASES."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch

from data import Digits
from lit_ae.augmentations import FeatureCorruption
from lit_ae.batch import Batch
from lit_ae.corruptions import GaussianNoise, LowerResolution, Masking, MissingBlocks, SaltAndPepper
from lit_ae.extra_terms import SSIM
from lit_ae.likelihoods import Bernoulli, Categorical, ContinuousBernoulli, Gaussian, Laplace, Multinomial, Poisson
from lit_ae.module import LitAutoencoder
from lit_ae.networks import MLP, Conv, Recurrent, Residual, Transformer, UNet
from lit_ae.optimization import Cosine
from lit_ae.priors import GaussianMixture, SwissRoll
from lit_ae.schedules import LinearWarmup
from lit_ae.serving.files import load, save
from lit_ae.sparsity import KL, L1, BatchTopK, JumpReLU, TopK
from lit_ae.variants import (
    VAE,
    AdversarialAutoencoder,
    Autoencoder,
    BetaTCVAE,
    ContractiveAutoencoder,
    ContrastiveAutoencoder,
    DenoisingAutoencoder,
    FactorVAE,
    LadderAutoencoder,
    MaskedAutoencoder,
    SparseAutoencoder,
    VectorQuantizedAutoencoder,
    WassersteinAutoencoder,
)
from tests.encoders import perceptual

small_conv = partial(Conv, channels=[4, 8])
small_mlp = partial(MLP, hidden=[32])
small_residual = partial(Residual, channels=[4, 8], attention=True, squeeze_excitation=True)
small_unet = partial(UNet, channels=[4, 8], skip_dropout=0.3, normalization="layer")
small_recurrent = partial(Recurrent, hidden=24, embedding=8, layers=2, word_dropout=0.2)
small_transformer = partial(Transformer, width=16, depth=1, heads=2)
small_lstm = partial(Recurrent, hidden=48, embedding=8, cell="lstm", bidirectional=False, word_dropout=0.5)
sinusoidal = partial(small_transformer, positions="sinusoidal", dropout=0.1)
slight_noise = partial(GaussianNoise, sigma=0.2)

CASES: dict[str, Callable[..., LitAutoencoder]] = {
    "autoencoder": partial(Autoencoder, network=small_mlp),
    "autoencoder, tied": partial(Autoencoder, network=partial(MLP, hidden=[32], tied=True)),
    "autoencoder, conv, denoising": partial(Autoencoder, network=small_conv, corruption=slight_noise),
    "vae": partial(VAE, network=small_mlp, likelihood=Bernoulli, beta=LinearWarmup(0.7, 1)),
    "vae, conv, learned variance, free bits": partial(
        VAE, network=small_conv, likelihood=partial(Gaussian, variance="learned"), free_bits=0.05
    ),
    "vae, predicted variance, denoising": partial(
        VAE,
        network=small_mlp,
        likelihood=partial(Gaussian, variance="predicted", bounded=True),
        corruption=GaussianNoise,
    ),
    "autoencoder, conv, SSIM, perceptual": partial(
        Autoencoder, network=small_conv, extra_terms=[partial(SSIM, weight=LinearWarmup(3.0, 1)), perceptual]
    ),
    "vae, SSIM, denoising": partial(VAE, network=small_mlp, extra_terms=[SSIM], corruption=slight_noise),
    "autoencoder, growing": partial(Autoencoder, network=small_mlp, growth_epochs=1),
    "autoencoder, residual": partial(Autoencoder, network=small_residual),
    "vae, residual, batch normalised": partial(VAE, network=partial(Residual, channels=[4, 8], normalization="batch")),
    "autoencoder, u-net, denoising": partial(Autoencoder, network=small_unet, corruption=slight_noise),
    "vae, u-net, importance-weighted": partial(VAE, network=small_unet, importance_samples=3),
    "autoencoder, recurrent": partial(Autoencoder, network=small_recurrent),
    "vae, recurrent, lstm": partial(
        VAE, network=small_lstm, likelihood=Bernoulli, initialization="xavier_normal"
    ),
    "autoencoder, transformer": partial(Autoencoder, network=small_transformer),
    "vae, transformer, sinusoidal": partial(VAE, network=sinusoidal),
    "masked autoencoder": partial(MaskedAutoencoder, network=small_transformer, mask_ratio=0.6),
    "vae, importance-weighted": partial(VAE, network=small_mlp, likelihood=Bernoulli, importance_samples=5),
    "adversarial": partial(AdversarialAutoencoder, network=small_mlp, discriminator_hidden=[16]),
    "adversarial, mixture, conv, denoising, own optimizer": partial(
        AdversarialAutoencoder,
        network=small_conv,
        corruption=slight_noise,
        prior=partial(GaussianMixture, modes=5),
        adversarial=LinearWarmup(3.0, 1),
        adversary_optimizer=partial(torch.optim.SGD, lr=0.02, momentum=0.5),
    ),
    "adversarial, swiss roll": partial(AdversarialAutoencoder, network=small_mlp, prior=SwissRoll),
    "factor vae": partial(FactorVAE, network=small_mlp, likelihood=Bernoulli, gamma=4.0, discriminator_hidden=[16, 16]),
    "ladder": partial(
        LadderAutoencoder, network=small_mlp, likelihood=Bernoulli, denoising=[LinearWarmup(0.5, 1), 0.2]
    ),
    "ladder, labelled, norms, predicted variance": partial(
        LadderAutoencoder,
        network=partial(MLP, hidden=[32, 16], normalization="layer", activation="elu"),
        likelihood=partial(Gaussian, variance="predicted"),
        labelled_share=0.4,
    ),
    "contrastive": partial(ContrastiveAutoencoder, network=small_mlp, temperature=0.3, projection=8),
    "contrastive, conv, feature corruption": partial(
        ContrastiveAutoencoder,
        network=small_conv,
        contrastive=LinearWarmup(2.0, 1),
        augmentation=partial(FeatureCorruption, share=0.2),
    ),
    "vae, continuous Bernoulli": partial(VAE, network=small_mlp, likelihood=ContinuousBernoulli),
    "autoencoder, categorical, salt and pepper": partial(
        Autoencoder, network=small_mlp, likelihood=partial(Categorical, levels=17), corruption=SaltAndPepper
    ),
    "vae, Poisson, masking": partial(
        VAE, network=small_mlp, likelihood=partial(Poisson, unit=1 / 16), corruption=Masking
    ),
    "vae, multinomial, lower resolution": partial(
        VAE, network=small_mlp, likelihood=partial(Multinomial, total=300, unit=1 / 16), corruption=LowerResolution
    ),
    "denoising autoencoder": partial(DenoisingAutoencoder, network=small_mlp),
    "denoising autoencoder, conv, Laplace, inpainting": partial(
        DenoisingAutoencoder,
        network=small_conv,
        likelihood=partial(Laplace, scale="learned", bounded=True),
        corruption=partial(MissingBlocks, blocks=2, height=0.25, width=0.3),
    ),
    "wasserstein autoencoder": partial(WassersteinAutoencoder, network=small_mlp, mmd=LinearWarmup(3.0, 1)),
    "beta-tc vae": partial(BetaTCVAE, network=small_mlp, likelihood=Bernoulli, beta=LinearWarmup(3.0, 1)),
    "beta-tc vae, weighted": partial(
        BetaTCVAE,
        network=small_conv,
        likelihood=partial(Gaussian, variance="learned"),
        alpha=0.5,
        beta=2.0,
        sampling="weighted",
    ),
    "sparse, L1": partial(SparseAutoencoder, network=small_mlp, sparsity=partial(L1, weight=LinearWarmup(0.05, 1))),
    "sparse, KL, conv": partial(SparseAutoencoder, network=small_conv, sparsity=partial(KL, rho=0.3, decay=0.9)),
    "sparse, TopK": partial(SparseAutoencoder, network=small_mlp, sparsity=partial(TopK, k=3, dead_after=2)),
    "sparse, TopK, threshold": partial(
        SparseAutoencoder,
        network=small_mlp,
        sparsity=partial(TopK, k=3, dead_after=2, revival="threshold", start=0.4),
    ),
    "sparse, BatchTopK, tied, Bernoulli, denoising": partial(
        SparseAutoencoder,
        network=partial(MLP, hidden=[32], tied=True),
        likelihood=Bernoulli,
        corruption=slight_noise,
        sparsity=partial(BatchTopK, k=3, dead_after=2),
    ),
    "sparse, JumpReLU": partial(SparseAutoencoder, network=small_mlp, sparsity=partial(JumpReLU, bandwidth=0.3)),
    "contractive": partial(ContractiveAutoencoder, network=small_mlp, contraction=0.02),
    "contractive, conv, estimated": partial(ContractiveAutoencoder, network=small_conv, contraction=0.02, probes=2),
    "vector-quantised": partial(VectorQuantizedAutoencoder, network=small_mlp, groups=3, codes=20),
    "vector-quantised, conv, Bernoulli": partial(
        VectorQuantizedAutoencoder, network=small_conv, likelihood=Bernoulli, initialization="kaiming_normal",
        groups=2, codes=30, decay=0.9,
    ),
}  # fmt: skip


@pytest.fixture(params=CASES, ids=str)
def make(request):
    """Makes the variant with the same weights every time."""

    def made(**changes):
        L.seed_everything(11, verbose=False)
        return CASES[request.param](Digits().spec, latent_dim=6, **changes)

    return made


@pytest.fixture
def data():
    return Digits(batch_size=50, fit_rows=150, seed=1)


def quiet_trainer(**options):
    return L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        **{"enable_checkpointing": False, "inference_mode": False, "use_distributed_sampler": False, **options},
    )  # fmt: skip


def batch_of(data, rows=20):
    split = data.split("fit")
    return Batch(split.x[:rows], split.y[:rows])


def test_the_loss_is_finite_and_gradients_reach_every_parameter(make, data):
    model = make().train()
    loss, means = model.objective(batch_of(data), epoch=2.0)
    loss.backward()
    assert loss.isfinite()
    assert all(mean.ndim == 0 and mean.isfinite() for mean in means.values())
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_terms_are_per_sample_and_weighted_into_the_loss(make, data):
    model = make().eval()
    x = batch_of(data).x
    torch.manual_seed(3)
    passed = model.forward_pass(x, model.corrupt(x))
    terms, weights = model.every_term(passed), model.every_weight
    assert all(term.shape == (len(x),) for term in terms.values())
    expected = sum((weights[n].at(0.5) if n in weights else 1.0) * t.mean() for n, t in terms.items())
    torch.manual_seed(3)
    loss, _ = model.objective(Batch(x), epoch=0.5)
    assert torch.allclose(loss, expected, rtol=1e-5)


@torch.no_grad()
def test_output_i_depends_on_input_i_alone(make, data):
    model = make().eval()
    x = batch_of(data).x
    changed = x.clone()
    changed[7:] = torch.rand_like(changed[7:])
    assert torch.allclose(model(x)[:7], model(changed)[:7], atol=1e-6)
    assert not torch.allclose(model(x)[7:], model(changed)[7:], atol=1e-3)


@torch.no_grad()
def test_inference_is_deterministic_and_leaves_the_random_state_alone(make, data):
    model = make().eval()
    x = batch_of(data).x
    state = torch.get_rng_state()
    assert torch.equal(model(x), model(x))
    assert torch.equal(model.encode(x), model.encode(x))
    assert torch.equal(state, torch.get_rng_state())
    assert model(x).shape == x.shape
    assert model.encode(x).shape == (len(x), 6)


def test_the_input_is_left_as_it_was(make, data):
    batch = batch_of(data)
    before = batch.x.clone()
    make().objective(batch, epoch=1.0)
    assert torch.equal(batch.x, before)


@torch.no_grad()
def test_saved_and_loaded_equal(make, data, tmp_path):
    model = make().eval()
    save(model, tmp_path)
    loaded = load(tmp_path)
    x = batch_of(data).x
    assert torch.equal(model(x), loaded(x))
    assert loaded.description == model.description
    assert {path.name for path in tmp_path.iterdir()} == {"hashes.json", "model.json", "weights.safetensors"}


def test_stopped_and_resumed_equals_never_stopped(make, data, tmp_path):
    """Bit for bit, in the middle of an epoch and at its end; 3 steps an epoch, 3 epochs."""
    whole = make(learning_rate=Cosine())
    trainer = quiet_trainer(max_epochs=3)
    trainer.fit(whole, data)
    figures = trainer.callback_metrics
    for stop in (1, 2, 3, 5, 6, 8):
        checkpoint = tmp_path / f"{stop}.ckpt"
        with pytest.raises(StopHere):
            quiet_trainer(max_epochs=3, callbacks=[StopAfter(stop, checkpoint)]).fit(make(learning_rate=Cosine()), data)
        L.seed_everything(99, verbose=False)
        resumed = model_with_other_weights(make)
        L.seed_everything(11, verbose=False)
        trainer = quiet_trainer(max_epochs=3)
        trainer.fit(resumed, data, ckpt_path=checkpoint, weights_only=True)
        assert trainer.callback_metrics == figures, f"after a stop at step {stop}"
        for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
            assert torch.equal(a, b), f"{name} after a stop at step {stop}"


def model_with_other_weights(make):
    model = make(learning_rate=Cosine())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    return model


class StopHere(Exception):
    pass


class StopAfter(L.Callback):
    def __init__(self, step: int, path: Path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            raise StopHere


def test_it_overfits_one_batch(make, data):
    model = make(optimizer=partial(torch.optim.Adam, lr=0.01)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batch = batch_of(data, rows=4)
    torch.manual_seed(0)
    before = (model.eval()(batch.x) - batch.x).square().mean().item()
    model.train()
    for _ in range(300):
        optimizer.zero_grad()
        loss, _ = model.objective(batch, epoch=0.1)
        loss.backward()
        optimizer.step()
    after = (model.eval()(batch.x) - batch.x).square().mean().item()
    assert after < 0.35 * before


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_by_the_flag_alone(make, data, precision):
    model = make()
    trainer = quiet_trainer(max_epochs=1, precision=precision)
    trainer.fit(model, data)
    assert all(p.isfinite().all() for p in model.parameters())
    assert trainer.callback_metrics["val/loss"].isfinite()
    wanted = torch.float64 if precision == "64-true" else torch.float32
    assert all(p.dtype == wanted for p in model.parameters() if p.is_floating_point())
