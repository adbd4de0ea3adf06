"""FID, precision, recall and compression as judges of a model, and the command that makes the feature network."""

from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch

from data import Digits
from lit_ae.errors import UserError
from lit_ae.likelihoods import Bernoulli
from lit_ae.metrics import labels
from lit_ae.metrics.compression import jpeg
from lit_ae.metrics.feature_network import find_feature_network
from lit_ae.networks import MLP, UNet
from lit_ae.variants import VAE, Autoencoder, VectorQuantizedAutoencoder
from pipelines import feature_network
from pipelines.evaluation import evaluate
from pipelines.judging.samples import check_samples, draw
from pipelines.options import Evaluation
from tests.pipelines import test_evaluation
from tests.pipelines.test_mistakes import assert_one_line

DATA = Digits(seed=0)
NOTHING = {"nll_samples": 0, "information_rows": 0, "probe_rows": 0, "compression_rows": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A feature network that has learned little, made by the command."""
    path = tmp_path_factory.mktemp("features")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "LEAST_STEPS", 40)
        patch.setattr(labels, "LEAST_EPOCHS", 1)
        assert feature_network.main(["Digits", "--folder", str(path), "--seed", "3"]) == 0
    return path


def made(variant, **options):
    L.seed_everything(3, verbose=False)
    return variant(DATA.spec, **{"latent_dim": 6, "network": partial(MLP, hidden=[16]), **options})


def judged(model, data=DATA, **asked):
    return evaluate(model, data, Evaluation(**{**NOTHING, **asked}), test_evaluation.tester())


def test_the_feature_network_is_kept_without_a_pickle_and_found_again(folder):
    assert {path.name for path in folder.iterdir()} == {"Digits.safetensors", "Digits.json"}
    one, other = (find_feature_network(DATA.spec, folder) for _ in range(2))
    raw = DATA.rows["test"].raw
    assert one.features(raw).shape == (360, 64)
    assert torch.equal(one.features(raw), other.features(raw))
    assert one.accuracy == one.classifier.accuracy(DATA.split("test").x, DATA.split("test").y) > 0.5
    assert f"test accuracy is {one.accuracy:.4f}" in one.description == other.description


def test_features_are_of_what_the_user_sees_whatever_the_model_space(folder):
    options = {"fid_samples": 2, "features": str(folder)}
    symmetric = Digits(seed=0, symmetric=True)
    floors = [
        judged(made_for(data), data, **options).figures["test/fid_of_training_rows"] for data in (DATA, symmetric)
    ]
    assert floors[0] == pytest.approx(floors[1], rel=1e-3)


def made_for(data):
    L.seed_everything(3, verbose=False)
    return VAE(data.spec, latent_dim=2, network=partial(MLP, hidden=[4]))


def test_samples_of_an_untrained_model_are_far_and_training_rows_near(folder):
    verdict = judged(made(VAE), fid_samples=300, features=str(folder))
    figures = verdict.figures
    assert figures["test/fid"] > 5 * figures["test/fid_of_training_rows"] > 0
    assert figures["test/recall"] < 0.1
    assert {"test/precision", "test/fid_of_reconstructions"} <= figures.keys()
    for words in ("300 samples (expected x", "360 test rows", "Digits classifier", "test accuracy", "first 300 train"):
        assert words in verdict.protocol["fid"]
    assert judged(made(VAE), fid_samples=300, features=str(folder)).figures == figures


def test_samples_of_binary_data_are_binary_and_always_the_same():
    model = VAE(Digits(binarize="threshold").spec, latent_dim=2, network=partial(MLP, hidden=[4]), likelihood=Bernoulli)
    first = draw(model, 1100)
    assert first.shape == (1100, 1, 8, 8)
    assert first.unique().tolist() == [0, 1]
    assert torch.equal(first, draw(model, 1100))
    assert len(draw(made_for(DATA), 30).unique()) > 2


REFUSED = {
    "Autoencoder on Digits gives no images from a prior: set evaluation.fid_samples to 0": (Autoencoder, "."),
    r"make it by python -m pipelines.feature_network Digits --folder nowhere": (VAE, "nowhere"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_can_not_be_judged_is_refused(sentence):
    variant, features = REFUSED[sentence]
    with pytest.raises(UserError, match=sentence):
        check_samples(made(variant), DATA, Evaluation(fid_samples=9, features=features))
    assert check_samples(made(variant), DATA, Evaluation(features=features)) is None


def test_a_damaged_feature_network_is_named(folder, tmp_path):
    (tmp_path / "Digits.json").write_text((folder / "Digits.json").read_text())
    (tmp_path / "Digits.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"Digits.safetensors can't be read: make it again by python -m"):
        find_feature_network(DATA.spec, tmp_path)


def test_without_a_feature_network_no_run_is_opened(train, runs):
    assert_one_line(train("--evaluation.fid_samples", 9, "--evaluation.features", "nowhere"), "make it by python -m")
    assert_one_line(train("--evaluation.fid_samples", 1), "evaluation.fid_samples must be 0, or 2 or more, not 1")
    assert runs() == []


@pytest.mark.parametrize(("name", "meant"), [("Digts", "Digits"), ("LitData", "")])
def test_a_feature_network_of_no_data_is_refused(name, meant, capsys):
    with pytest.raises(SystemExit) as end:
        feature_network.main([name, "--folder", "here"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"lit-ae: Unknown data set '{name}': did you mean {meant}")
    assert not Path("here").exists()


def test_a_code_is_rounded_as_coarsely_as_the_tuning_split_allows():
    verdict = judged(made(Autoencoder), compression_rows=100)
    figures, x = verdict.figures, DATA.split("test").x[:100]
    exact = -10 * torch.log10((verdict.x_hat[:100] - x).square().mean()).item()
    assert exact - 0.5 < figures["test/quantised_psnr"] < exact + 0.5
    assert 0 <= figures["test/bits_per_pixel"] < 6 * 12 / 64
    assert figures["test/jpeg_psnr"] >= figures["test/quantised_psnr"]
    lowest = jpeg(x, 1)
    assert figures["test/jpeg_bits_per_pixel"] == lowest.bits_per_pixel
    for words in ("100 test images", "counted on 1257 training rows", "headers and tables not counted"):
        assert words in verdict.protocol["bits_per_pixel"]


def test_the_indices_of_a_codebook_are_its_code():
    model = made(VectorQuantizedAutoencoder, groups=3, codes=8)
    verdict = judged(model, compression_rows=100)
    x = DATA.split("test").x[:100]
    exact = -10 * torch.log10((verdict.x_hat[:100] - x).square().mean()).item()
    assert verdict.figures["test/quantised_psnr"] == pytest.approx(exact, abs=1e-4)
    assert verdict.figures["test/bits_per_pixel"] <= 3 * 4 / 64
    assert "indices of the codebook" in verdict.protocol["bits_per_pixel"]


def test_what_goes_past_the_code_is_no_compression():
    verdict = judged(made(Autoencoder, network=partial(UNet, channels=[4, 8])), compression_rows=50)
    assert not any("bits_per_pixel" in name for name in verdict.figures)
