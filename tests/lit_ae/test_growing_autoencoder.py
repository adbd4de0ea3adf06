"""A code that grows during training."""

from functools import partial
from itertools import pairwise

import lightning as L
import pytest
import torch

from data import Digits
from lit_ae.errors import UserError
from lit_ae.networks import MLP
from lit_ae.serving.files import load, save
from lit_ae.variants import Autoencoder

linear = partial(MLP, hidden=[])


def trained(epochs=12, **options):
    L.seed_everything(3, verbose=False)
    data = Digits(batch_size=64, fit_rows=640)
    optimizer = partial(torch.optim.Adam, lr=0.01)
    model = Autoencoder(data.spec, latent_dim=6, network=linear, optimizer=optimizer, **options)
    seen = Watch()
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, use_distributed_sampler=False, callbacks=[seen],
    )  # fmt: skip
    trainer.fit(model, data)
    return model.eval(), data.split("fit").x, seen.counts


class Watch(L.Callback):
    def __init__(self):
        self.counts = []

    def on_train_batch_end(self, trainer, module, *args):
        if module.active is not None:
            assert module.active.sort(descending=True).values.equal(module.active)
            self.counts.append(int(module.active.sum()))


@torch.no_grad()
def errors_of_first_dimensions(model, x):
    """The error per feature when the first k dimensions alone are decoded, for k from 1 on."""
    z = model.encode(x)
    kept = [torch.arange(6) < k for k in range(1, 7)]
    return [(model.decode(z * mask) - x).square().mean().item() for mask in kept]


def test_dimensions_become_active_one_after_the_other_and_are_ordered_by_use():
    model, x, counts = trained(growth_epochs=9)
    assert counts[:90] == [1 + 6 * step // 90 for step in range(90)]
    assert counts[90:] == [6] * 30
    plain, _, _ = trained()
    growing, usual = errors_of_first_dimensions(model, x), errors_of_first_dimensions(plain, x)
    gains = [a - b for a, b in pairwise(growing)]
    assert growing == sorted(growing, reverse=True)
    assert gains[0] > 2 * gains[-1]
    assert all(a < 0.8 * b for a, b in zip(growing[:3], usual[:3], strict=True))
    assert growing[-1] < 1.1 * usual[-1]


def test_the_last_dimension_is_trained_even_when_growth_takes_the_whole_training():
    model, x, counts = trained(epochs=6, growth_epochs=6)
    assert counts[-1] == 6
    errors = errors_of_first_dimensions(model, x)
    assert errors[5] < errors[4]


def test_what_is_not_active_is_zero_and_at_the_end_it_is_the_plain_autoencoder():
    L.seed_everything(3, verbose=False)
    growing = Autoencoder(Digits().spec, latent_dim=5, network=linear, growth_epochs=4.0)
    L.seed_everything(3, verbose=False)
    plain = Autoencoder(Digits().spec, latent_dim=5, network=linear)
    x = torch.rand(7, 1, 8, 8)
    for epoch, active in ((0.0, 1), (0.8, 2), (2.0, 3), (3.1, 4), (3.2, 5), (4.0, 5), (9.0, 5)):
        growing.grow(epoch)
        expected = plain.encode(x) * (torch.arange(5) < active)
        assert torch.equal(growing.encode(x), expected)
        assert torch.equal(growing(x), plain.decode(expected))
    assert "active" not in plain.state_dict()


@torch.no_grad()
def test_how_far_it_has_grown_is_saved(tmp_path):
    model = Autoencoder(Digits().spec, latent_dim=5, network=linear, growth_epochs=4.0)
    model.grow(2.0)
    save(model, tmp_path)
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(load(tmp_path).encode(x), model.encode(x))
    assert not load(tmp_path).encode(x)[:, 3:].any()


def test_growth_that_outlasts_the_training_is_refused():
    model = Autoencoder(Digits().spec, growth_epochs=5.5)
    assert model.warmup_epochs == 5.5
    model.check_schedules(6)
    with pytest.raises(UserError, match=r"latent_dim takes 5\.5 epochs and the training only 5"):
        model.check_schedules(5)
    with pytest.raises(UserError, match="0 or more"):
        Autoencoder(Digits().spec, growth_epochs=-1)
