"""Detection through the command line: a trained model is packed with its detector, or refused before the training."""

import mlflow
import numpy as np
import pytest
import torch
from PIL import Image

from lit_ae.serving.files import load_detector

NORMAL = ("--data.normal", "[0, 1, 2, 3, 4]", "--detection.alpha", 0.1)
BRIEF = ("--evaluation.baseline_rows", 0, "--evaluation.bootstrap", 0, "--trainer.max_epochs", 1)


def test_a_training_leaves_a_detector_of_all_its_members(train, runs, workspace):
    answer = train(*NORMAL, *BRIEF, "--detection.members", 2, "--detection.bank_size", 50)
    assert answer.code == 0, answer.err
    (run,) = runs()
    assert "at most 0.1 of normal rows alarm" in answer.out
    assert run.data.metrics["detection/calibration_rows"] == run.data.metrics["detection/effective_rows"]
    folder = workspace / "outputs" / run.info.run_id
    assert "| the nearest normal row has |" in (folder / "alarms.md").read_text()
    with Image.open(folder / "pictures" / "alarms.png") as image:
        assert image.width > image.height > 200
    directory = folder / "model"
    detector = load_detector(directory / "data" / "autoencoder")
    assert len(detector.witnesses) == 2
    first, second = (witness.model.state_dict() for witness in detector.witnesses)
    assert any((first[name] != second[name]).any() for name in first)
    images = np.random.default_rng(0).uniform(0, 16, (4, 1, 8, 8)).astype(np.float32)
    judged = detector.judge(detector.model.spec.preprocessing.apply(torch.from_numpy(images)))
    answer = mlflow.pyfunc.load_model(str(directory)).predict(images)
    assert np.array_equal(answer["p_value"], judged.p_value.numpy())
    assert np.array_equal(answer["verdict"] == "anomaly", judged.is_anomaly.numpy())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--detection.alpha", 0.0001), "set --detection.alpha 0.0"),
        (("--detection.rule", "labelled_f1"), "needs labelled rows: name a table of them by detection.labelled"),
        (
            ("--evaluation.false_alarm_rates", "[0.05, 5]"),
            "false_alarm_rates holds 5, but each must lie between 0 and 1",
        ),
        (("--detection.clip", 0.5), "detection.clip is 0.5, but it must be above 1"),
        (("--detection.alfa", 0.1), "did you mean --detection.alpha?"),
    ],
)
def test_what_cannot_be_promised_is_refused_before_a_run_is_opened(train, runs, words, sentence):
    answer = train(*NORMAL, *words)
    assert answer.code == 2
    assert sentence in answer.err
    assert runs() == []


def test_no_detector_is_made_where_none_is_wanted(train, runs, workspace):
    answer = train(*NORMAL, *BRIEF, "--detection.enabled", "false")
    assert answer.code == 0, answer.err
    (run,) = runs()
    assert load_detector(workspace / "outputs" / run.info.run_id / "model" / "data" / "autoencoder") is None


def test_data_that_know_of_no_normal_rows_say_why_there_is_no_detector(train, workspace, monkeypatch):
    monkeypatch.setattr("pipelines.training.draw_portfolio", lambda *_: workspace)
    answer = train("--detection.alpha", 0.1, *BRIEF)
    assert answer.code == 0, answer.err
    assert "Detector    none: Digits does not say which rows are normal" in answer.out
