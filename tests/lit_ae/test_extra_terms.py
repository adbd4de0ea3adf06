"""Extra terms against formulas of their own, and what they leave alone."""

import copy
from functools import partial
from pathlib import Path

import mlflow.pyfunc
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data import MNIST, Digits
from lit_ae.errors import UserError
from lit_ae.extra_terms import SSIM, ExtraTerms, Perceptual
from lit_ae.metrics.reconstruction import reconstruction_figures
from lit_ae.networks import MLP
from lit_ae.preprocessing import Rescale
from lit_ae.schedules import LinearWarmup
from lit_ae.serving.addresses import load_from
from lit_ae.serving.package import package
from lit_ae.spec import DataSpec
from lit_ae.variants import Autoencoder
from tests.encoders import packed_encoder

DIGITS = Digits().spec
X = Digits().split("fit").x[:12]
TABLE = DataSpec("Rows", "table", (5,), Rescale(0, 1), value_range=(0.0, 1.0))
WORSE = (X * 0.6 + 0.2).clamp(0, 1)
shares = st.floats(0, 1)


@given(shares, shares)
def test_ssim_of_even_images_is_the_luminance_alone(a: float, b: float) -> None:
    """Wang et al. 2004, equation 6, where there is no variance."""
    even = [torch.full((2, 1, 8, 8), level, dtype=torch.float64) for level in (a, b)]
    cost = SSIM(DIGITS)(*even)
    luminance = (2 * a * b + 0.01**2) / (a * a + b * b + 0.01**2)
    assert cost.tolist() == pytest.approx([1 - luminance] * 2, abs=1e-6)


def test_ssim_is_that_of_the_test_figure_and_falls_along_its_gradient():
    term, x_hat = SSIM(DIGITS), WORSE.clone().requires_grad_()
    cost = term(x_hat, X)
    assert cost.shape == (12,)
    assert 1 - cost.mean().item() == pytest.approx(reconstruction_figures(X, WORSE, DIGITS)["ssim"], abs=1e-6)
    assert term(X, X).abs().max() < 1e-5
    cost.sum().backward()
    assert term(WORSE - 0.05 * x_hat.grad / x_hat.grad.norm(), X).sum() < cost.sum()


def test_ssim_keeps_its_precision_where_the_network_has_little():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cost = SSIM(DIGITS)(WORSE.bfloat16(), X)
    assert cost.dtype == torch.float32
    assert torch.allclose(cost, SSIM(DIGITS)(WORSE, X), atol=0.02)


@pytest.fixture(scope="module")
def tanh_encoder(tmp_path_factory):
    """A packed model with weights of its own, whose features are known by hand."""
    torch.manual_seed(3)
    model = Autoencoder(DIGITS, latent_dim=4, network=partial(MLP, hidden=[9, 7], activation="tanh"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    folder = tmp_path_factory.mktemp("encoder") / "model"
    package(model, Digits().rows["test"].raw[:2].numpy(), folder, {})
    return model, str(folder)


def features_by_hand(model, x):
    first, _, second, _, last = model.network.encoder
    one = torch.tanh(x.flatten(1) @ first.weight.T + first.bias)
    two = torch.tanh(one @ second.weight.T + second.bias)
    return [one, two, two @ last.weight.T + last.bias]


def test_perceptual_is_half_the_mean_squared_difference_of_every_layer(tanh_encoder):
    model, folder = tanh_encoder
    layers = zip(features_by_hand(model, WORSE), features_by_hand(model, X), strict=True)
    expected = sum(((a - b) ** 2).sum(1) / (2 * a.shape[1]) for a, b in layers)
    assert torch.allclose(Perceptual(DIGITS, folder)(WORSE, X), expected, atol=1e-6)


def test_the_perceptual_encoder_passes_gradients_on_and_is_part_of_nothing(tanh_encoder):
    term, x_hat = Perceptual(DIGITS, tanh_encoder[1]), WORSE.clone().requires_grad_()
    term(x_hat, X).sum().backward()
    assert x_hat.grad.flatten(1).norm(dim=1).min() > 0
    model = Autoencoder(DIGITS, latent_dim=3, extra_terms=[lambda spec: term])
    plain = Autoencoder(DIGITS, latent_dim=3)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert len(list(model.parameters())) == len(list(plain.parameters()))
    assert model.description == plain.description
    assert not any(layer._forward_hooks for layer in term._layers)


def test_the_perceptual_encoder_moves_with_the_model_and_stays_as_it_is(tanh_encoder):
    term = Perceptual(DIGITS, tanh_encoder[1])
    expected, before = term(WORSE, X), copy.deepcopy(term._model[0].state_dict())
    model = Autoencoder(DIGITS, extra_terms=[lambda spec: term]).train().double()
    assert torch.allclose(term(WORSE.double(), X.double()), expected.double())
    assert not term._model[0].training
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    passed = model.forward_pass(X.double(), X.double())
    model.every_term(passed)["perceptual"].sum().backward()
    optimizer.step()
    assert model.network.decoder[0].weight.grad.norm() > 0
    assert all(torch.equal(tensor.float(), before[name]) for name, tensor in term._model[0].state_dict().items())


def test_extra_terms_bring_their_weights_and_their_warm_up():
    model = Autoencoder(DIGITS, extra_terms=[partial(SSIM, weight=LinearWarmup(4.0, 7))])
    assert model.every_weight["one_minus_ssim"].at(3.5) == 2
    assert model.warmup_epochs == 7
    with pytest.raises(UserError, match="warm-up of one_minus_ssim takes 7 epochs"):
        model.check_schedules(5)


def test_a_training_goes_on_with_the_encoder_that_it_began_with(tanh_encoder):
    one, other = (ExtraTerms([SSIM(DIGITS), Perceptual(DIGITS, f)]) for f in (tanh_encoder[1], packed_encoder()))
    assert one.check_same(one.identities) is None
    with pytest.raises(UserError, match=r"perceptual by Autoencoder \w{12}.*perceptual by VAE \w{12}"):
        other.check_same(one.identities)


def foreign_model(folder: Path) -> Path:
    """One that MLflow would unpickle."""

    class Twice(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: list[float]) -> list[float]:
            raise AssertionError("it was run")

    mlflow.pyfunc.save_model(folder, python_model=Twice(), pip_requirements=["mlflow"])
    return folder


def damaged_model(folder: Path) -> Path:
    """One whose description names a class that is none of ours."""
    package(load_from(packed_encoder()), Digits().rows["test"].raw[:2].numpy(), folder, {})
    description = folder / "data" / "autoencoder" / "model.json"
    description.write_text(description.read_text().replace("lit_ae.variants.vae.VAE", "os.system"))
    return folder


def cut_off(folder: Path) -> Path:
    """One whose weights came only in part."""
    package(load_from(packed_encoder()), Digits().rows["test"].raw[:2].numpy(), folder, {})
    (folder / "data" / "autoencoder" / "weights.safetensors").write_bytes(b"cut off")
    return folder


def of_another_loader(folder: Path) -> Path:
    damaged_model(folder)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["flavors"]["python_function"]["loader_module"] = "theirs"
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    return folder


@pytest.mark.parametrize("made", [damaged_model, cut_off])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_model_is_not_loaded(made, tmp_path):
    with pytest.raises(UserError, match="was changed after the model was packed"):
        load_from(str(made(tmp_path / "model")))


@pytest.mark.parametrize("made", [foreign_model, of_another_loader])
@pytest.mark.filterwarnings("ignore")
def test_only_models_of_this_project_are_loaded(made, tmp_path):
    with pytest.raises(UserError, match=r"There is no model of this project at .*\): name runs:/<run id>/model"):
        load_from(str(made(tmp_path / "model")))


MISTAKES = {
    "SSIM is made for image data, and Rows is of kind table": lambda: SSIM(TABLE),
    "Perceptual is made for image data, and Rows is of kind table": lambda: Perceptual(TABLE, packed_encoder()),
    "SSIM needs a weight of 0 or more, not -1": lambda: SSIM(DIGITS, weight=-1),
    "SSIM needs images of 3 x 3": lambda: SSIM(DataSpec("Tiny", "image", (1, 2, 2), Rescale(0, 1), (0.0, 1.0))),
    r"was trained on Digits of shape \[1, 8, 8\] in \[0.0, 1.0\], and MNIST is of shape \[1, 28, 28\]": (
        lambda: Perceptual(MNIST().spec, packed_encoder())
    ),
    r"and Digits is of shape \[1, 8, 8\] in \[-1.0, 1.0\]: name another": (
        lambda: Perceptual(Digits(symmetric=True).spec, packed_encoder())
    ),
    "names a term twice: one_minus_ssim, one_minus_ssim": lambda: Autoencoder(DIGITS, extra_terms=[SSIM, SSIM]),
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_what_makes_no_sense_is_refused_in_one_sentence(sentence):
    with pytest.raises(UserError, match=sentence):
        MISTAKES[sentence]()
