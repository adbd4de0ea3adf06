"""Residual networks and the U-Net: shapes, blocks against independent formulas, and the way of the skips."""

from functools import partial

import lightning as L
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data import Digits
from lit_ae.errors import UserError
from lit_ae.latents import Point
from lit_ae.module import LitAutoencoder
from lit_ae.networks import Residual, Sizes, UNet
from lit_ae.networks.attention import SelfAttention
from lit_ae.networks.blocks import ResidualBlock, SqueezeExcitation, Style
from lit_ae.preprocessing import Rescale
from lit_ae.serving.scorer import Scorer
from lit_ae.spec import DataSpec
from lit_ae.variants import VAE, Autoencoder

small_unet = partial(UNet, channels=[4, 6, 8])


def spec_of(kind, *shape):
    return DataSpec("made up", kind, shape, Rescale(0, 1), (0.0, 1.0), synthetic=True)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 19), st.integers(1, 19), st.integers(1, 3), st.integers(1, 3), st.booleans(),
    st.sampled_from([Residual, UNet, partial(UNet, skips=False)]), st.sampled_from([[3], [4, 6], [8, 5, 4]]),
)  # fmt: skip
def test_any_image_size_comes_back(channels, height, width, latent_dim, outputs, extras, network, levels):
    if network is UNet and len(levels) == 1:
        levels = [3, 3]
    options = {"channels": levels, "attention": extras, "squeeze_excitation": extras, "blocks": 1 + extras}
    made = network(spec_of("image", channels, height, width), Sizes(latent_dim, 2, outputs), **options)
    code, skips = made.encode_with_skips(torch.rand(2, channels, height, width))
    assert code.shape == (2, 2 * latent_dim)
    for z_skips in ((), skips):
        assert made.decode(code[:, :latent_dim], skips=z_skips).shape == (2, outputs, channels, height, width)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=2), st.integers(1, 3), st.booleans())
def test_rows_and_series_of_any_width_come_back(shape, outputs, gate):
    kind = "table" if len(shape) == 1 else "series"
    made = Residual(spec_of(kind, *shape), Sizes(2, 1, outputs), channels=[7, 5], squeeze_excitation=gate, blocks=2)
    assert made.decode(made.encode(torch.rand(3, *shape))).shape == (3, outputs, *shape)


@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "group"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("spec", [spec_of("image", 1, 6, 5), spec_of("table", 7)], ids=str)
def test_activation_normalization_and_dropout_by_name(spec, normalization, activation):
    made = Residual(spec, Sizes(2), [4, 6], normalization=normalization, activation=activation, dropout=0.2)
    assert made.decode(made.encode(torch.rand(3, *spec.shape))).isfinite().all()


def test_a_block_is_its_shortcut_plus_two_layers_after_their_activations():
    block = ResidualBlock(3, 5, Style("relu", "none", 0.0, False, True), stride=2)
    first, second = block.body[2], block.body[5]
    x = torch.randn(2, 3, 7, 6)
    inner = torch.conv2d(x.clamp(min=0), first.weight, first.bias, stride=2, padding=1)
    body = torch.conv2d(inner.clamp(min=0), second.weight, second.bias, padding=1)
    shortcut = torch.einsum("oi,nihw->nohw", block.shortcut.weight[:, :, 0, 0], x[:, :, ::2, ::2])
    expected = shortcut + block.shortcut.bias[:, None, None] + body
    assert torch.allclose(block(x), expected, atol=1e-5)
    same = ResidualBlock(3, 3, Style("relu", "none", 0.0, False, True))
    torch.nn.init.zeros_(same.body[5].weight)
    torch.nn.init.zeros_(same.body[5].bias)
    assert torch.equal(same(x), x)


def test_squeeze_and_excitation_weighs_channels_by_what_their_means_say():
    gate = SqueezeExcitation(8)
    x = torch.randn(2, 8, 3, 4)
    squeeze, excite = gate.gate[0], gate.gate[2]
    hidden = x.mean((2, 3)) @ squeeze.weight.T + squeeze.bias
    scale = 1 / (1 + torch.exp(-((hidden * hidden.sigmoid()) @ excite.weight.T + excite.bias)))
    assert squeeze.out_features == 2
    assert torch.allclose(gate(x), x * scale[:, :, None, None], atol=1e-6)


def test_attention_is_pytorchs_own():
    ours, theirs = SelfAttention(12, heads=3), torch.nn.MultiheadAttention(12, 3, batch_first=True)
    torch.nn.init.normal_(ours.queries_keys_values.bias)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = (
        ours.queries_keys_values.weight,
        ours.queries_keys_values.bias,
    )
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight, ours.out.bias
    x, allowed = torch.randn(2, 5, 12), torch.tensor([[True] * 5, [True, False, True, False, True]])
    assert torch.allclose(ours(x, allowed), theirs(x, x, x, key_padding_mask=~allowed)[0], atol=1e-6)
    assert torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-6)


def test_skips_lead_every_level_but_the_last_past_the_code():
    network = small_unet(spec_of("image", 2, 9, 6), Sizes(3)).eval()
    x = torch.rand(4, 2, 9, 6)
    code, skips = network.encode_with_skips(x)
    assert [tuple(skip.shape) for skip in skips] == [(4, 4, 9, 6), (4, 6, 5, 3)]
    with_skips, without = network.decode(code, skips=skips), network.decode(code)
    assert not torch.allclose(with_skips, without, atol=1e-3)
    zeros = tuple(torch.zeros_like(skip) for skip in skips)
    assert torch.equal(without, network.decode(code, skips=zeros))
    for i in range(2):
        changed = tuple(skip + (i == j) for j, skip in enumerate(skips))
        assert not torch.allclose(network.decode(code, skips=changed), with_skips, atol=1e-3)


def test_without_skips_it_is_the_residual_network():
    torch.manual_seed(1)
    plain = Residual(spec_of("image", 1, 8, 8), Sizes(3), [4, 6, 8])
    torch.manual_seed(1)
    dropped = small_unet(spec_of("image", 1, 8, 8), Sizes(3), skips=False)
    x = torch.rand(2, 1, 8, 8)
    assert dropped.encode_with_skips(x)[1] == ()
    assert torch.equal(plain.decode(plain.encode(x)), dropped.decode(dropped.encode(x)))
    assert dropped.caution is None


@pytest.mark.parametrize("variant", [Autoencoder, VAE])
@torch.no_grad()
def test_nothing_is_kept_between_calls(variant):
    model = variant(spec_of("image", 1, 8, 8), latent_dim=3, network=small_unet).eval()
    x, other = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    z, x_hat = model.encode(x), model(x)
    alone = model.decode(z)
    model(other)
    assert torch.equal(model.decode(z), alone)
    assert not torch.allclose(alone, x_hat, atol=1e-3)
    assert not torch.allclose(model(other), x_hat, atol=1e-3)
    assert torch.equal(torch.as_tensor(Scorer(model).predict(x.numpy())), model.spec.preprocessing.invert(x_hat))


@torch.no_grad()
def test_every_draw_sees_the_skips_of_its_own_sample():
    model = VAE(spec_of("image", 1, 8, 8), latent_dim=3, network=small_unet, importance_samples=3).eval()
    x = torch.rand(4, 1, 8, 8)
    passed = model.forward_pass(x, x)
    for draw in range(3):
        for i in range(4):
            row = slice(i, i + 1)
            outputs = model.network.decode(passed.z[draw, row], skips=model.network.encode_with_skips(x[row])[1])
            alone = model.likelihood.log_prob(outputs, x[row])
            assert torch.allclose(passed.log_likelihood[draw, row], alone, atol=1e-4)


def test_skip_dropout_drops_whole_samples_in_training_alone():
    network = small_unet(spec_of("image", 1, 8, 8), Sizes(3), skip_dropout=0.4)
    x = torch.rand(2000, 1, 8, 8)
    torch.manual_seed(0)
    dropped = [(skip == 0).flatten(1).all(1) for skip in network.encode_with_skips(x)[1]]
    assert torch.equal(*dropped)
    assert 0.35 < dropped[0].float().mean() < 0.45
    assert not any((skip == 0).flatten(1).all(1).any() for skip in network.eval().encode_with_skips(x)[1])


def trained_for_a_moment(network):
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = L.Trainer(max_epochs=1, limit_val_batches=0, enable_model_summary=False, **options)
    trainer.fit(Autoencoder(Digits().spec, network=network), Digits(fit_rows=100))


def test_a_training_warns_of_the_skips():
    with pytest.warns(UserWarning, match="skips lead past the code.*defeats compression and detection"):
        trained_for_a_moment(small_unet)


def test_a_training_without_skips_warns_of_nothing_of_the_kind(recwarn):
    trained_for_a_moment(partial(small_unet, skips=False))
    assert not [warning for warning in recwarn if "skips" in str(warning.message)]


class OwnPosterior(LitAutoencoder):
    def posterior(self, x):
        return Point(self.network.encode(x))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: OwnPosterior(spec_of("image", 1, 8, 8), network=UNet), "OwnPosterior hands no skips.*skips to false"),
        (lambda: UNet(spec_of("image", 1, 8, 8), Sizes(2), channels=[4]), "One level has no skip"),
        (lambda: UNet(spec_of("image", 1, 8, 8), Sizes(2), skip_dropout=1.0), "skip_dropout"),
        (lambda: UNet(spec_of("table", 8), Sizes(2)), "UNet is made for image"),
        (lambda: Residual(spec_of("sequence", 8), Sizes(2)), "Residual is made for image and table and series"),
        (lambda: Residual(spec_of("table", 8), Sizes(2), attention=True), "no grid to attend over"),
        (lambda: Residual(spec_of("table", 8), Sizes(2), channels=[]), "at least one level"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        wrong()


def test_a_variant_with_its_own_posterior_takes_a_unet_without_skips():
    model = OwnPosterior(spec_of("image", 1, 8, 8), network=partial(small_unet, skips=False))
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 1, 8, 8)
