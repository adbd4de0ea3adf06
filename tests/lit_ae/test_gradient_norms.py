"""Gradient norms by part, against a computation by hand in a training."""

import lightning as L
import pytest
import torch
from torch import nn

from data import Digits
from lit_ae.metrics.gradients import GradientNorms, parts_of
from tests.conformance.test_conformance import CASES, quiet_trainer

PARTS = {
    "autoencoder": {"encoder", "decoder"},
    "autoencoder, residual": {"encoder", "decoder"},
    "autoencoder, recurrent": {"encoder", "decoder"},
    "vae, transformer, sinusoidal": {"encoder", "decoder"},
    "vae, conv, learned variance, free bits": {"encoder", "decoder", "likelihood"},
    "adversarial": {"encoder", "decoder", "discriminator"},
    "ladder, labelled, norms, predicted variance": {"encoder", "decoder", "ladder", "labels"},
    "contrastive": {"encoder", "decoder", "head"},
    "sparse, JumpReLU": {"encoder", "decoder", "sparsity"},
    "vector-quantised": {"encoder", "decoder"},
}


@pytest.mark.parametrize("case", PARTS)
def test_each_variant_has_its_parts_and_they_hold_every_parameter_once(case):
    model = CASES[case](Digits().spec, latent_dim=6)
    parts = parts_of(model)
    assert parts.keys() == PARTS[case]
    assert sorted(id(p) for part in parts.values() for p in part) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize("case", ["autoencoder, residual", "autoencoder, transformer", "autoencoder, recurrent"])
def test_what_is_called_encoder_is_what_encoding_uses(case):
    model = CASES[case](Digits().spec, latent_dim=6).eval()
    model.encode(Digits().split("fit").x[:4]).sum().backward()
    parts = parts_of(model)
    assert all(p.grad is not None for p in parts["encoder"])
    assert all(p.grad is None for p in parts["decoder"])


class ByHand(L.Callback):
    """The lengths at every step, before they are clipped."""

    def __init__(self):
        self.encoder, self.all = [], []

    def on_before_optimizer_step(self, trainer, module, optimizer):
        squares = {name: float(p.grad.double().square().sum()) for name, p in module.named_parameters()}
        self.encoder.append(sum(s for name, s in squares.items() if ".encoder." in name) ** 0.5)
        self.all.append(sum(squares.values()) ** 0.5)


def test_the_logged_figure_is_the_mean_over_every_tenth_step_before_clipping():
    seen = ByHand()
    L.seed_everything(1, verbose=False)
    trainer = quiet_trainer(max_epochs=1, callbacks=[seen], gradient_clip_val=0.01)
    trainer.fit(CASES["autoencoder"](Digits().spec, latent_dim=6), Digits(batch_size=50, fit_rows=600))
    figures = trainer.callback_metrics
    assert len(seen.encoder) == 12
    assert figures["gradient_norm/encoder"].item() == pytest.approx((seen.encoder[0] + seen.encoder[10]) / 2, rel=1e-5)
    assert min(seen.all) > 0.01


def test_steps_that_mixed_precision_leaves_out_do_not_count():
    model = nn.ModuleDict({"one": nn.Linear(2, 1, bias=False), "two": nn.Linear(1, 1, bias=False)})
    norms = GradientNorms(model)
    for gradient in ([3.0, 4.0], [float("inf"), 1.0], [6.0, 8.0]):
        model["one"].weight.grad = torch.tensor([gradient])
        norms.update()
    assert {part: length.item() for part, length in norms.compute().items()} == {"one": 7.5, "two": 0.0}
    again = GradientNorms(model)
    again.restore(norms.totals(lambda totals: totals))
    again.update()
    assert again.compute()["one"].item() == pytest.approx(25 / 3)
