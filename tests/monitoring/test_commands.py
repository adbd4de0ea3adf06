"""``monitor``, ``recalibrate`` and ``adapt`` through the command line, on a model that was trained by it."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient

from data import NetworkTraffic
from lit_ae.serving.files import load_detector, load_profile
from lit_ae.serving.integrity import seal
from pipelines import adapt, monitor, recalibrate, score, training
from pipelines.command_line import run
from pipelines.models import INSIDE
from pipelines.registry import register
from pipelines.train import train
from pipelines.tuning.command import read as read_study
from tests.pipelines.conftest import Answer, answered, database_template  # noqa: F401 - a fixture


def without_profile(life) -> None:
    """A copy of the model as it was packed before there were profiles."""
    shutil.copytree(life.folder / "outputs" / life.run_id / "model", "old")
    for name in ("profile.json", "profile.safetensors"):
        (Path("old") / INSIDE / name).unlink()
    seal(Path("old") / INSIDE)


RECIPE = {
    "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    "model": {
        "class_path": "lit_ae.variants.Autoencoder",
        "init_args": {
            "latent_dim": 4,
            "network": {"class_path": "lit_ae.networks.MLP", "init_args": {"hidden": [16]}},
            "learning_rate": "lit_ae.optimization.Cosine",
        },
    },
    "data": {"class_path": "data.NetworkTraffic", "init_args": {"batch_size": 100}},
    "detection": {"alpha": 0.02, "scores": ["residual"]},
    "evaluation": {"probe_rows": 0, "information_rows": 0, "baseline_rows": 0, "bootstrap": 0},
    "tracking": {"pictures_every": 0},
}
MODEL = "models:/flows@challenger"


class Life(NamedTuple):
    """Where a model lives.

    Attributes:
        folder: working directory of the commands.
        run_id: of its training.
        normal: normal rows that it has not seen.
        mixed: such, and attacks.
    """

    folder: Path
    run_id: str
    normal: pd.DataFrame
    mixed: pd.DataFrame


@pytest.fixture(scope="module")
def born(tmp_path_factory, database_template) -> Iterator[Life]:  # noqa: F811
    folder = tmp_path_factory.mktemp("life")
    (folder / "mlflow.db").write_bytes(database_template)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setattr(training, "draw_portfolio", lambda *_: folder)  # pictures take longer than the training
        assert run(train, ["--config", "recipe.yaml"]) == 0
        (run_folder,) = (path for path in Path("outputs").iterdir() if path.is_dir())
        register(MlflowClient(), "flows", run_folder.name)
    data = NetworkTraffic()
    data.setup("test")
    test, decode = data.rows["test"], data.spec.schema.decode
    return Life(folder, run_folder.name, decode(test.raw[~test.anomaly]), decode(test.raw))


@pytest.fixture
def life(born, monkeypatch, tmp_path) -> Life:
    """The model's store, and an empty working directory."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{born.folder}/mlflow.db")
    monkeypatch.setattr(training, "draw_portfolio", lambda *_: tmp_path)
    monkeypatch.chdir(tmp_path)
    return born


@pytest.fixture
def told(life, capsys) -> Callable[..., Answer]:
    """A command in this process: ``told(monitor, MODEL, "--input", "in.csv")``."""

    def command(module, *words: object) -> Answer:
        return answered(module.main, words, capsys)

    return command


def moved(frame: pd.DataFrame) -> pd.DataFrame:
    """Flows that send more than before."""
    return frame.assign(src_bytes=frame["src_bytes"] * 30 + 100)


def values(folder: str) -> dict:
    return json.loads((Path(folder) / "report.json").read_text())


def runs_of(experiment: str) -> list:
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id]) if found else []


def test_stationary_rows_leave_a_page_and_exit_code_0(told, life):
    life.normal.to_csv("in.csv", index=False)
    answer = told(monitor, MODEL, "--input", "in.csv", "--report", "report")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("\nNothing to do: the rows are like those")
    page, told_values = Path("report/report.html").read_text(), values("report")
    assert page.count("<svg") >= 3
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (told_values["state"], told_values["action"], told_values["exit_code"]) == ("stationary", "nothing", 0)
    assert told_values["rows"]["scored"] == len(life.normal)
    (latest, *_) = runs_of("monitoring")
    assert latest.info.status == "FINISHED"
    assert latest.data.tags["action"] == "nothing"
    assert latest.data.metrics["monitor/alarm_rate"] == pytest.approx(told_values["alarms"]["rate"])
    kept = {file.path for file in MlflowClient().list_artifacts(latest.info.run_id)}
    assert {"report.html", "report.json"} <= kept


def test_a_moved_world_is_told_from_more_anomalies(told, life):
    pd.concat([life.normal, moved(life.normal)]).to_parquet("moved.parquet")
    pd.concat([life.normal, life.mixed]).to_parquet("mixed.parquet")
    answer = told(monitor, MODEL, "--input", "moved.parquet", "--report", "a")
    assert answer.code == 11, answer.err
    assert "src_bytes" in answer.out
    assert f"Next        python -m pipelines.adapt {MODEL} CONFIRMED_NORMALS.csv" in answer.out
    assert [one["name"] for one in values("a")["moved"]] == ["src_bytes"]
    assert values("a")["rows"]["since"] >= len(life.normal)
    answer = told(monitor, MODEL, "--input", "mixed.parquet", "--report", "b")
    assert answer.code == 0, answer.err
    assert values("b")["state"] == "more anomalies"


def test_answers_of_score_say_the_same_as_scoring_now(told, life):
    life.mixed.to_csv("in.csv", index=False)
    assert told(score, MODEL, "in.csv", "scored.parquet").code == 0
    for words in (("--report", "a"), ("--report", "b", "--scored", "scored.parquet")):
        assert told(monitor, MODEL, "--input", "in.csv", *words).code == 0
    now, before = values("a"), values("b")
    assert now.pop("alarms") == before.pop("alarms")
    assert now == before


def test_a_log_is_read_by_the_models_own_version(told, life):
    detector = load_detector(life.folder / "outputs" / life.run_id / "model" / INSIDE)
    schema, preprocessing = detector.model.spec.schema, detector.model.spec.preprocessing
    judged = detector.judge(preprocessing.apply(schema.encode(life.normal)))
    log = life.normal.rename(columns=lambda name: f"input.{name}").assign(
        time=pd.date_range("2026-01-01", periods=len(life.normal), freq="s", tz="UTC"),
        model_version="1",
        row=range(len(life.normal)),
        score=judged.score.numpy(),
        p_value=judged.p_value.numpy(),
        verdict=np.where(judged.is_anomaly, "anomaly", "normal"),
        reasons="",
    )
    Path("log").mkdir()
    log[:900].to_parquet("log/0001.parquet")
    log[900:].to_parquet("log/0002.parquet")
    foreign = log[:300].assign(model_version="7", p_value=0.001, more="")
    foreign.to_parquet("log/0003.parquet")
    answer = told(monitor, MODEL, "--log", "log", "--report", "report")
    assert answer.code == 0, answer.err
    assert values("report")["rows"]["all"] == len(log)
    assert values("report")["latent"] is not None
    assert values("report")["times"][0].startswith("2026-01-01")
    assert "holds rows of the versions 1, 7" in told(monitor, life.folder / "outputs" / life.run_id / "model",
                                                     "--log", "log").err  # fmt: skip
    assert "no row of version 9" in told(monitor, MODEL, "--log", "log", "--model_version", "9").err


def test_labels_tell_false_alarms_from_anomalies(told, life):
    life.mixed.to_csv("in.csv", index=False)
    test = NetworkTraffic()
    test.setup("test")
    anomaly = test.rows["test"].anomaly.int()
    pd.DataFrame({"row": range(len(anomaly)), "anomaly": anomaly.numpy()}).to_csv("labels.csv", index=False)
    assert told(monitor, MODEL, "--input", "in.csv", "--labels", "labels.csv", "--report", "a").code == 0
    labels = values("a")["labels"]
    assert labels["normals"] + labels["anomalies"] == len(anomaly)
    assert labels["false_alarms"] / labels["normals"] < 0.04 < 0.3 < labels["found"] / labels["anomalies"]
    pd.DataFrame({"row": range(len(anomaly)), "anomaly": 0}).to_csv("wrong.csv", index=False)
    answer = told(monitor, MODEL, "--input", "in.csv", "--labels", "wrong.csv")
    assert answer.code == 10
    assert "rows confirmed as normal alarm more often" in answer.out


def test_a_column_that_is_gone_is_a_schema_that_changed(told, life):
    life.normal.drop(columns="duration").to_csv("in.csv", index=False)
    answer = told(monitor, MODEL, "--input", "in.csv", "--report", "report")
    assert answer.code == 12, answer.err
    assert "the column 'duration' is gone" in answer.out
    command = values("report")["command"].split()
    assert command[:5] == ["python", "-m", "pipelines.tune", "--study", "retrain"]
    asked = read_study(command[3:])
    assert asked.action == "tune"


def test_a_column_of_text_among_numbers_is_a_schema_that_changed(told, life):
    life.normal.assign(duration="long").to_csv("in.csv", index=False)
    answer = told(monitor, MODEL, "--input", "in.csv")
    assert answer.code == 12, answer.err
    assert "'duration' takes numbers, and 100.0% of its values are none" in answer.out


def test_recalibration_makes_a_challenger_of_the_same_weights(told, life):
    recent = life.normal.assign(src_bytes=life.normal["src_bytes"] * 2 + 20)
    recent.to_csv("normals.csv", index=False)
    answer = told(recalibrate, "models:/flows/1", "normals.csv", "--register", "renewed", "--alpha", 0.05)
    assert answer.code == 0, answer.err
    assert "Registered  models:/renewed@challenger (version 1)" in answer.out
    (latest, *_) = runs_of("monitoring")
    new = Path("outputs") / latest.info.run_id / "model" / INSIDE
    old = life.folder / "outputs" / life.run_id / "model" / INSIDE
    assert (new / "weights.safetensors").read_bytes() == (old / "weights.safetensors").read_bytes()
    detector, profile = load_detector(new), load_profile(new)
    assert detector.settings.budget == profile.promise.budget == 0.05
    first = MlflowClient().get_run(life.run_id)
    assert latest.data.params["data/digest"] == first.data.params["data/digest"]
    assert latest.data.metrics["test/auroc"] == first.data.metrics["test/auroc"]
    assert "test/false_alarm_rate" not in latest.data.metrics  # which the new threshold has changed
    assert "config.yaml" in {file.path for file in MlflowClient().list_artifacts(latest.info.run_id)}
    assert told(monitor, "models:/renewed@challenger", "--input", "normals.csv").code == 0


def test_adapting_goes_on_where_the_training_ended(told, life):
    moved(life.normal[:600]).to_csv("normals.csv", index=False)
    moved(life.normal[600:]).to_csv("later.csv", index=False)
    assert told(monitor, "models:/flows/1", "--input", "later.csv").code == 11
    answer = told(adapt, "models:/flows/1", "normals.csv", "--epochs", 2, "--register", "adapted")
    assert answer.code == 0, answer.err
    assert "Registered  models:/adapted@challenger (version 1)" in answer.out
    (latest, *_) = (one for one in runs_of("monitoring") if "adapted" in one.data.tags)
    assert latest.info.status == "FINISHED"
    assert latest.data.params["adapt/recent_fit"] == "360"
    first = MlflowClient().get_run(life.run_id)
    assert latest.data.params["data/digest"] == first.data.params["data/digest"]
    assert latest.data.metrics["test/mse"] < 1.3 * first.data.metrics["test/mse"]
    assert latest.data.metrics["learning_rate"] == pytest.approx(1e-4)
    new = load_detector(Path("outputs") / latest.info.run_id / "model" / INSIDE)
    old = load_detector(life.folder / "outputs" / life.run_id / "model" / INSIDE)
    x = new.model.spec.preprocessing.apply(new.model.spec.schema.encode(moved(life.normal[600:])))
    alarms = [float(detector.judge(x).is_anomaly.double().mean()) for detector in (old, new)]
    assert alarms[1] < 0.06 < alarms[0] or alarms[1] <= alarms[0]
    assert not torch.equal(*(next(iter(one.model.state_dict().values())) for one in (old, new)))


WRONG = {
    "no rows": ((monitor, MODEL), "either a table by --input, or a server's log by --log"),
    "both": ((monitor, MODEL, "--input", "in.csv", "--log", "."), "either a table by --input"),
    "no file": ((monitor, MODEL, "--input", "no.csv"), "There is no file no.csv"),
    "no folder": ((monitor, MODEL, "--log", "no"), "There is no folder no"),
    "empty log": ((monitor, MODEL, "--log", "empty"), "holds no Parquet file"),
    "unknown model": ((monitor, "models:/flow@champion", "--input", "in.csv"), "flow"),
    "unknown alias": ((monitor, "models:/flows@best", "--input", "in.csv"), "best"),
    "too few": ((monitor, MODEL, "--input", "few.csv"), "10 scored rows say nothing yet: this model needs 100"),
    "none of the columns": ((monitor, MODEL, "--input", "other.csv"), "names none of the model's columns"),
    "empty table": ((monitor, MODEL, "--input", "empty.csv"), "empty.csv is empty"),
    "other answers": ((monitor, MODEL, "--input", "in.csv", "--scored", "few.csv"), "lacks the column 'row'"),
    "fewer answers": ((monitor, MODEL, "--input", "in.csv", "--scored", "answers.csv"), "has fewer rows than in.csv"),
    "damaged log": ((monitor, MODEL, "--log", "damaged"), "1.parquet can't be read"),
    "foreign log": ((monitor, MODEL, "--log", "foreign"), "lacks the column 'model_version'"),
    "labels": ((monitor, MODEL, "--input", "in.csv", "--labels", "few.csv"), "lacks the column 'row'"),
    "report is a file": ((monitor, MODEL, "--input", "in.csv", "--report", "in.csv/a"), "in.csv is a file"),
    "unknown word": ((monitor, MODEL, "--imput", "in.csv"), "--imput"),
    "few to calibrate": ((recalibrate, MODEL, "few.csv"), "give 49 confirmed normal rows or more"),
    "alpha": ((recalibrate, MODEL, "in.csv", "--alpha", 2), "must lie between 0 and 1"),
    "few to adapt": ((adapt, MODEL, "few.csv"), "gives 10 rows, and adapting needs more than 100"),
    "no epochs": ((adapt, MODEL, "in.csv", "--epochs", 0), "must be at least 1"),
    "name": ((recalibrate, MODEL, "in.csv", "--register", "a/b"), "is no name of a registered model"),
}


@pytest.mark.parametrize(("words", "reason"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_one_line_and_leave_nothing(words, reason, told, life):
    life.normal.to_csv("in.csv", index=False)
    life.normal[:10].to_csv("few.csv", index=False)
    pd.DataFrame({"a": range(200)}).to_csv("other.csv", index=False)
    pd.DataFrame({"row": range(5), "p_value": 0.5, "verdict": "normal"}).to_csv("answers.csv", index=False)
    Path("empty.csv").touch()
    for name in ("empty", "damaged", "foreign"):
        Path(name).mkdir()
    Path("damaged/1.parquet").write_bytes(b"PAR1 and no more")
    life.normal.to_parquet("foreign/1.parquet")
    before, runs = sorted(os.listdir()), len(runs_of("monitoring"))
    answer = told(*words)
    assert answer.code == 2
    assert answer.err.startswith("lit-ae: ")
    assert answer.err.count("\n") == 1
    assert reason in answer.err
    assert sorted(os.listdir()) == before
    assert len(runs_of("monitoring")) == runs


def test_a_model_without_a_profile_is_refused_in_a_sentence(told, life):
    without_profile(life)
    life.normal.to_csv("in.csv", index=False)
    for words in ((monitor, "old", "--input", "in.csv"), (recalibrate, "old", "in.csv"), (adapt, "old", "in.csv")):
        answer = told(*words)
        assert answer.code == 2
        assert "old has no profile, as it was packed before there was one" in answer.err


@pytest.mark.parametrize("module", [monitor, recalibrate, adapt])
def test_help(module, told):
    answer = told(module, "--help")
    assert answer.code == 0
    assert "models:/<name>@<alias>" in answer.out
