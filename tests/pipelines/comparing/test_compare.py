"""``python -m pipelines.compare``: models of every kind, on the same test rows, in a run of its own."""

import json
import re
from functools import partial
from pathlib import Path

import mlflow
import pytest
import torch

from data import SMILES, Sensors
from lit_ae.likelihoods import Categorical
from lit_ae.networks import Recurrent
from lit_ae.serving.files import load
from lit_ae.serving.package import package
from lit_ae.variants import VAE, Autoencoder


def compared(answer, store, compared_before):
    """The comparison's own run, and its figures."""
    assert answer.code == 0, answer.err
    (run,) = [run for run in store.runs() if run.info.run_id not in compared_before]
    assert run.info.status == "FINISHED"
    folder = store.folder / "outputs" / run.info.run_id
    return run, json.loads((folder / "comparison.json").read_text()), folder


def ids(store):
    return {run.info.run_id for run in store.runs()}


def test_runs_of_several_seeds_stand_beside_a_registered_model(judge, made_runs, workspace):
    before = ids(made_runs)
    words = ("first", "second", "models:/digits@champion", "--baseline", "models:/digits@champion")
    answer = judge(*words, "--json", workspace / "copy.json")
    run, found, folder = compared(answer, made_runs, before)
    seeds, champion = found["groups"]
    assert [one["seed"] for one in seeds["members"]] == [0, 1]
    assert (seeds["name"], champion["name"]) == ("Autoencoder MLP 3 Digits", "models:/digits@champion")
    assert (found["reference"], found["reference_is"]) == ("models:/digits@champion", "named")
    for group in found["groups"]:
        for value, member in zip(group["figures"]["mse"]["of_seeds"], group["members"], strict=True):
            assert value == pytest.approx(error_of(member["run_id"], made_runs), rel=1e-6)
    figure = seeds["figures"]["mse"]
    difference = figure["difference"]
    assert figure["mean"] - champion["figures"]["mse"]["mean"] == pytest.approx(difference["difference"])
    assert difference["low"] < difference["difference"] < difference["high"]
    assert difference["high"] - difference["low"] > 10 * figure["sd"]  # two seeds say little
    assert not difference["is_real"]
    assert seeds["cost"]["fit_seconds"] == 2.0
    assert champion["cost"]["parameters"] > seeds["cost"]["parameters"]
    assert all(group["cost"]["rows_per_second"] > 100 for group in found["groups"])
    assert json.loads((workspace / "copy.json").read_text()) == found
    assert_is_reported(run, folder, found, made_runs)
    assert "Autoencoder MLP 3 Digits can't be told from it" in answer.out


def error_of(run_id, store):
    """The mean squared error of the test digits by the model as it is served."""
    from data import Digits

    served = mlflow.pyfunc.load_model(str(store.folder / "outputs" / run_id / "model"))
    return served.predict(Digits().rows["test"].raw.numpy(), params={"output": "error"}).mean()


def assert_is_reported(run, folder, found, store):
    """The three forms of the report and the pictures, as artefacts, and what MLflow's pages show."""
    kept = {file.path for file in store.client.list_artifacts(run.info.run_id)}
    assert {"comparison.md", "comparison.html", "comparison.json", "pictures"} <= kept
    page, text = ((folder / f"comparison.{form}").read_text() for form in ("html", "md"))
    drawn = re.findall(r'src="data:image/png;base64,(\w)', page)
    assert len(drawn) == len(re.findall(r"\]\(pictures/\w+\.png\)", text)) >= 3
    assert not re.search(r'(src|href)="(?!data:)', page), "the page needs another file"
    for group in found["groups"]:
        assert group["name"] in page
        assert f"| {group['name']} |" in text
    assert run.data.tags["test_digest"] == found["test_digest"]
    assert run.data.tags["mlflow.note.content"].startswith("# Comparison of")
    assert f"{found['leading_figure']}/{found['groups'][0]['name']}" in run.data.metrics


def test_detectors_are_compared_by_what_they_find(judge, made_runs):
    before = ids(made_runs)
    answer = judge("sensors", "--filter", "tags.variant = 'VAE'")
    _, found, folder = compared(answer, made_runs, before)
    assert list(found["figures"]) == ["ap", "auroc", "recall", "false_alarm_rate", "mse_of_normal_rows"]
    best = max(found["groups"], key=lambda group: group["figures"]["ap"]["mean"])
    assert found["reference"] == best["name"]
    drawn = {file.name for file in (folder / "pictures").iterdir()}
    assert {"roc.png", "precision_recall.png", "scores.png", "ap.png", "reconstructions.png"} <= drawn


def test_models_that_see_other_units_are_not_compared_by_errors(judge, made_runs):
    before = ids(made_runs)
    answer = judge("first", "symmetric")
    assert answer.code == 2
    assert "see the same test rows in different units" in answer.err
    assert ids(made_runs) == before


@pytest.mark.parametrize(
    ("data", "parts", "words", "figure"),
    [
        (
            partial(SMILES, path="few.smi"),
            {"likelihood": Categorical, "network": partial(Recurrent, hidden=8)},
            ("--data", "SMILES", "--data.path", "few.smi"),
            "wrong_tokens",
        ),
        (partial(Sensors, window=8), {}, ("--data", "Sensors", "--data.window", 8), "mse_of_normal_rows"),
    ],
    ids=["strings", "windows"],
)
def test_folders_are_judged_on_named_data(data, parts, words, figure, judge, made_runs, workspace):
    Path("few.smi").write_text("\n".join("C" * a + "O" + "N" * b for a in range(1, 9) for b in range(8)))
    data = data()
    torch.manual_seed(0)
    for name, variant in (("plain", Autoencoder), ("variational", VAE)):
        package(variant(data.spec, latent_dim=4, **parts).eval(), data.example(), workspace / name, {})
    before = ids(made_runs)
    _, found, folder = compared(judge("plain", "variational", *words), made_runs, before)
    assert list(found["figures"]) == [figure]
    assert [group["name"] for group in found["groups"]] == ["plain", "variational"]
    assert (folder / "pictures" / "reconstructions.png").stat().st_size > 5000
    errors = load(workspace / "plain" / "data" / "autoencoder")
    assert found["groups"][0]["cost"]["parameters"] == sum(p.numel() for p in errors.parameters())


def test_a_repeated_run_is_no_second_seed(judge, made_runs):
    before = ids(made_runs)
    address = f"runs:/{made_runs.ids['first']}/model"
    _, found, _ = compared(judge("first", address, "wide"), made_runs, before)
    assert [len(group["members"]) for group in found["groups"]] == [1, 1]
