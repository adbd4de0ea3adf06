"""Information, neighbours, factors of variation and labels in the figures of a run."""

import math
from functools import partial

import lightning as L
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from data import Shapes
from lit_ae.latents import Point
from lit_ae.likelihoods import Bernoulli
from lit_ae.networks import MLP
from lit_ae.variants import VAE, Autoencoder
from pipelines.evaluation import evaluate
from pipelines.judging.labels import judge_label_efficiency
from pipelines.options import Evaluation
from tests.pipelines.test_evaluation import DATA, a_model
from tests.pipelines.test_evaluation import tester as trainer_for_tests


class Oracle(Autoencoder):
    """Knows position and size of a shape from the image alone: its centre and its area."""

    def posterior(self, x):
        pixels, mass = torch.arange(16.0), x.sum((1, 2, 3))
        centres = [(x.sum((1, 2)) * pixels).sum(1) / mass, (x.sum((1, 3)) * pixels).sum(1) / mass]
        return Point(torch.stack([*centres, mass], 1))


def test_codes_that_know_a_factor_each_are_told_from_codes_that_know_none():
    shapes = Shapes(fit_rows=2000)
    L.seed_everything(0, verbose=False)
    asked = Evaluation(nll_samples=0, information_rows=0)
    found = {}
    for variant in (Oracle, Autoencoder):
        verdict = evaluate(
            variant(shapes.spec, latent_dim=3, network=partial(MLP, hidden=[32])), shapes, asked, trainer_for_tests()
        )
        found[variant] = verdict.figures
    knows, untrained = found[Oracle], found[Autoencoder]
    assert knows["test/mig"] > untrained["test/mig"] + 0.3
    assert knows["test/sap"] > untrained["test/sap"] + 0.3
    for name in ("disentanglement", "completeness", "informativeness"):
        assert knows[f"test/dci_{name}"] > untrained[f"test/dci_{name}"] + 0.1
        assert knows[f"pca/dci_{name}"] == pytest.approx(untrained[f"pca/dci_{name}"])
    assert {"pca/mig", "pca/sap"} <= knows.keys()
    assert "shape, size, orientation, x, y" in verdict.protocol["mig"]
    assert "2000 training rows, scored on 1296 test rows" in verdict.protocol["dci"]


def test_real_data_has_no_factors_to_judge():
    verdict = evaluate(a_model(Autoencoder), DATA, Evaluation(), trainer_for_tests())
    assert not {"test/mig", "test/sap", "test/aggregate_mi", "test/labels_all/frozen"} & verdict.figures.keys()
    assert not {"mig", "aggregate_mi", "labels"} & verdict.protocol.keys()


def test_information_and_what_is_left_of_the_kl():
    asked = Evaluation(nll_samples=0, probe_rows=0, information_rows=300)
    verdict = evaluate(a_model(VAE, likelihood=Bernoulli), DATA, asked, trainer_for_tests())
    with torch.no_grad():
        kl = a_model(VAE, likelihood=Bernoulli).posterior(DATA.split("test").x[:300]).kl_per_dimension().sum(1).mean()
    information = verdict.figures["test/aggregate_mi"]
    assert 0 < information < math.log(300)
    assert information + verdict.figures["test/aggregate_kl"] == pytest.approx(kl.item(), rel=1e-5)
    assert "300 test rows" in verdict.protocol["aggregate_mi"]
    assert f"{math.log(300):.2f}" in verdict.protocol["aggregate_mi"]


def test_neighbours_stand_beside_the_linear_probe_with_pcas():
    model = a_model(Autoencoder)
    verdict = evaluate(model, DATA, Evaluation(probe_rows=400, neighbours=3), trainer_for_tests())
    fit, test = DATA.split("fit"), DATA.split("test")
    with torch.no_grad():
        codes, judged = model.encode(fit.x[:400]), model.encode(test.x)
    vote = KNeighborsClassifier(3).fit(codes, fit.y[:400])
    assert verdict.figures["test/knn"] == pytest.approx(vote.score(judged, test.y), abs=0.01)
    assert verdict.figures["pca/knn"] > 0.5
    assert "3 nearest of 400 training rows" in verdict.protocol["knn"]
    without = evaluate(model, DATA, Evaluation(probe_rows=400, neighbours=0), trainer_for_tests())
    assert "test/linear_probe" in without.figures
    assert "test/knn" not in without.figures


def test_labels_are_worth_more_the_more_there_are():
    model = a_model(Autoencoder)
    plain = evaluate(model, DATA, Evaluation(probe_rows=0), trainer_for_tests())
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    judge_label_efficiency(model, DATA, Evaluation(label_efficiency=[30, "all"], label_draws=2), plain)
    figures = plain.figures
    assert torch.get_rng_state().equal(state)
    assert all(weight.equal(before[name]) for name, weight in model.state_dict().items())
    for name in ("frozen", "scratch", "input"):
        assert 0.1 < figures[f"test/labels_30/{name}"] < figures[f"test/labels_all/{name}"] <= 1
        assert 0 < figures[f"test/labels_30/{name}_sd"] < 0.2
    assert 0.5 < figures["pca/labels_30/frozen"] < figures["pca/labels_all/frozen"] < 0.95
    assert figures["test/labels_all/input"] > 0.95
    assert figures["test/labels_all/input_sd"] == figures["test/labels_all/frozen_sd"] == 0
    assert figures["test/labels_all/scratch"] > figures["test/labels_all/frozen"] + 0.2  # it was never trained


def test_label_efficiency_is_asked_for_by_an_option_and_stands_among_the_figures(train, runs, monkeypatch):
    monkeypatch.setattr("lit_ae.metrics.labels.LEAST_STEPS", 20)
    answer = train(
        "--evaluation.label_efficiency", "[20, 200]", "--evaluation.label_draws", 2, "--trainer.max_epochs", 1
    )
    assert answer.code == 0, answer.err
    metrics = runs()[0].data.metrics
    keys = {
        f"test/labels_{n}/{way}{sd}" for n in (20, 200) for way in ("frozen", "scratch", "input") for sd in ("", "_sd")
    }
    assert keys <= metrics.keys()
    assert "labels_20/frozen" in answer.out
    assert "labels: test accuracy, mean and sd of 2 draws" in answer.out


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("label_efficiency", "[5]", "take numbers from 10 to 200, or all"),
        ("label_efficiency", "[100, 201]", "take numbers from 10 to 200, or all"),
        ("label_efficiency", "[0]", "label_efficiency needs numbers above 0 or all"),
        ("label_efficiency", "[some]", "evaluation.label_efficiency"),
        ("label_draws", "0", "label_draws at least 1"),
        ("neighbours", "-1", "must be 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_run_is_opened(train, runs, option, value, sentence):
    answer = train(f"--evaluation.{option}", value)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert runs() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_recipe_of_shapes_is_made_up_and_says_so(train, runs):
    short = ("--trainer.max_epochs", 1, "--model.beta", 4, "--model.learning_rate", "null", "--data.fit_rows", 200)
    costs = ("--evaluation.nll_samples", 0, "--evaluation.compression_rows", 0, "--tracking.pictures_every", 0)
    answer = train("--recipe", "beta_vae_shapes", *short, *costs)
    (run,) = runs()
    assert answer.code == 0, answer.err
    assert run.data.tags["synthetic"] == "true"
    assert {"test/mig", "test/sap", "test/dci_completeness", "pca/mig", "test/aggregate_mi"} <= run.data.metrics.keys()
    assert "mig: mutual information gap over the factors shape" in answer.out
