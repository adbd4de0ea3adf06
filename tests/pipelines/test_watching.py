"""Extra terms, gradient norms and alarms through the command line."""

import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml

from tests.pipelines.helpers import history
from tests.pipelines.test_mistakes import assert_one_line


def test_a_perceptual_encoder_from_the_registry(train, store, runs):
    assert train("--trainer.max_epochs", 1, "--model.network.activation", "tanh").code == 0
    (first,) = runs()
    mlflow.register_model(f"runs:/{first.info.run_id}/model", "digits")
    store.set_registered_model_alias("digits", "champion", "1")
    terms = ("--model.extra_terms+", "SSIM", "--model.extra_terms+", "Perceptual", "--model.extra_terms.encoder")
    answer = train(*terms, "models:/digits@champion")
    assert answer.code == 0, answer.err
    second = next(run for run in runs() if run.info.run_id != first.info.run_id)
    run_id = second.info.run_id
    for name in ("train/perceptual", "val/perceptual", "train/one_minus_ssim", "gradient_norm/encoder"):
        assert [step for step, _ in history(store, run_id, name)] == [0, 1, 2]
    assert 1 - second.data.metrics["test/one_minus_ssim"] != second.data.metrics["test/ssim"]
    assert "extra terms one_minus_ssim, perceptual by VAE" in second.data.tags["mlflow.note.content"]
    given = yaml.safe_load(Path("outputs", run_id, "config.yaml").read_text())["model"]["init_args"]["extra_terms"]
    assert [term["class_path"] for term in given] == ["lit_ae.extra_terms.SSIM", "lit_ae.extra_terms.Perceptual"]

    shutil.rmtree(Path("outputs", first.info.run_id))
    store.delete_registered_model("digits")
    packed = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert packed.predict(np.zeros((2, 1, 8, 8), np.float32)).shape == (2, 1, 8, 8)
    described = json.loads(Path("outputs", run_id, "model", "data", "autoencoder", "model.json").read_text())
    assert "extra_terms" not in described["model"]["with"]


def test_a_collapse_is_said_in_one_line_and_kept_in_the_run(train, runs):
    answer = train("--model.beta", 500, "--trainer.max_epochs", 2)
    (run,) = runs()
    (line,) = [line for line in answer.out.splitlines() if line.startswith("Alarm ")]
    assert "The posterior has collapsed: 0 of 3 latent dimensions are in use" in line
    assert line == f"Alarm       {run.data.tags['lit_ae.alarms']}"
    assert run.data.metrics["val/active_units"] == 0


def test_a_sound_training_raises_no_alarm(train, runs):
    answer = train("--model.beta", 0.01, "--model.optimizer", "Adam", "--model.optimizer.lr", 0.03)
    assert "Alarm" not in answer.out
    assert "lit_ae.alarms" not in runs()[0].data.tags


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--model.extra_terms+ SIM", "Unknown extra term 'SIM': did you mean SSIM?"),
        ("--model.extra_terms+ SSIM --model.extra_terms.wait 3", "SSIM has no option 'wait': did you mean --model.ex"),
        ("--model.extra_terms+ Perceptual --model.extra_terms.encoder nowhere", "no model of this project at nowhere"),
        ("--model.extra_terms+ Perceptual --model.extra_terms.encoder runs:/1/model", "at runs:/1/model"),
        ("--model.extra_terms+ SSIM --model.extra_terms.weight x", "Unknown schedule 'x'"),
        ("--model.extra_terms+ Perceptual --model.extra_terms.encoder models:/no@one", "at models:/no@one"),
        ("--model.extra_terms+ Perceptual", "encoder"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_run(words, sentence, train, runs):
    assert_one_line(train(*words.split()), sentence)
    assert runs() == []
