"""``python -m pipelines.evaluate``: any model, on any data that fit it, in a run of its own."""

import mlflow
import pytest
import yaml

from data import Digits, NetworkTraffic
from lit_ae.errors import UserError
from lit_ae.serving.integrity import seal_package
from pipelines import evaluate
from pipelines.models import INSIDE, fetch_model
from pipelines.seen import SeenBy, check_fit
from tests.pipelines.conftest import Answer, answered

SENSORS = {
    "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    "model": {
        "class_path": "lit_ae.variants.Autoencoder",
        "init_args": {
            "latent_dim": 4,
            "network": {"class_path": "lit_ae.networks.MLP", "init_args": {"hidden": [16]}},
        },
    },
    "data": {"class_path": "data.Sensors", "init_args": {"fit_rows": 500, "batch_size": 100}},
    "evaluation": {"bootstrap": 20, "baseline_rows": 300, "probe_rows": 0},
    "detection": {"alpha": 0.05},
    "tracking": {"pictures_every": 0},
}


@pytest.fixture
def judge(store, capsys):
    """Evaluates in this process."""

    def judged(*words: object) -> Answer:
        return answered(evaluate.main, words, capsys)

    return judged


@pytest.mark.timeout(400)
def test_a_training_is_reported_and_judged_again_under_any_address(train, judge, runs, store, workspace):
    (workspace / "sensors.yaml").write_text(yaml.safe_dump(SENSORS))
    assert train("--config", "sensors.yaml").code == 0
    (trained,) = runs()
    run_id = trained.info.run_id
    assert_is_reported(trained, store)
    version = mlflow.register_model(f"runs:/{run_id}/model", "sensors").version
    store.set_registered_model_alias("sensors", "champion", version)
    small = ("--evaluation.bootstrap", 20, "--evaluation.baseline_rows", 300)
    again = judge(run_id, *small)
    assert again.code == 0, again.err
    assert fetch_model("models:/sensors@champion").is_dir()
    misfit = judge(run_id, "--data", "Digits")
    assert misfit.code == 2
    assert "The model takes samples of kind table, and Digits has image" in misfit.err
    (judged,) = (run for run in runs() if run.info.run_id != run_id)
    assert judged.data.tags["evaluated"] == run_id
    assert_is_reported(judged, store)
    for key in ("test/mse", "test/auroc", "test/f1", "test/hit_rate", "baseline_untrained/auroc", "baseline_knn/ap"):
        assert judged.data.metrics[key] == pytest.approx(trained.data.metrics[key], rel=1e-9)


def assert_is_reported(run, store) -> None:
    """A finished run with the figures of every detector, the pages and the pictures."""
    assert run.info.status == "FINISHED"
    figures = run.data.metrics
    detectors = ("always_alarm", "random", "time_index", "neyman_pearson", "untrained", "pca", "mahalanobis", "knn")
    assert {f"baseline_{name}/auroc" for name in (*detectors, "isolation_forest")} < figures.keys()
    assert {"test/ap_low", "test/recall_at_false_alarms_0.01", "test/false_alarm_rate_high"} < figures.keys()
    kept = {file.path for file in store.list_artifacts(run.info.run_id)}
    assert {"figures.md", "detection.md", "detection.json"} < kept
    drawn = {file.path for file in store.list_artifacts(run.info.run_id, "pictures")}
    names = ("roc", "precision_recall", "scores", "time_line", "confusion")
    assert {f"pictures/{name}.png" for name in names} < drawn


def test_folders_and_versions_are_models_too(tmp_path, model_directory):
    with pytest.raises(UserError, match="no model of lit-ae"):
        fetch_model(str(model_directory))
    packed = tmp_path / "outputs" / ("a" * 32) / "model"
    (packed / INSIDE).mkdir(parents=True)
    seal_package(packed)
    found = fetch_model("a" * 32, tmp_path / "outputs")
    assert fetch_model(str(packed)) == found == packed / INSIDE


WRONG = {
    "no model": (("--data", "Digits"), "Name the model first"),
    "unknown model": (("nowhere/at/all", "--data", "Digits"), "There is no model nowhere/at/all"),
    "no such run": (("0" * 32, "--data", "Digits"), "There is no model runs:/000"),
    "foreign folder": ((".", "--data", "Digits"), "no model of lit-ae"),
    "unknown data": (("x/y", "--data", "Digit"), "did you mean Digits?"),
    "unknown option": (("x/y", "--data", "Digits", "--data.norml", "[1]"), "did you mean --data.normal?"),
    "no data": (("x/y",), "Name the data"),
    "model option": (("x/y", "--data", "Digits", "--model.latent_dim", "3"), "judged as it is"),
    "bad value": ((".", "--data", "Digits", "--data.batch_size", "many"), "--data.batch_size can't be 'many'"),
}


@pytest.mark.parametrize(("words", "reason"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_one_line_exit_code_2_and_no_run(words, reason, judge, runs):
    answer = judge(*words)
    assert answer.code == 2
    assert answer.err.startswith("lit-ae: ")
    assert answer.err.count("\n") == 1
    assert reason in answer.err
    assert runs() == []


def test_rows_are_seen_by_the_models_own_preprocessing():
    theirs = Digits(symmetric=True, seed=0)
    check_fit(Digits().spec, theirs.spec)
    seen = SeenBy(Digits().spec, theirs)
    assert seen.split("test").x.min() == 0
    assert theirs.split("test").x.min() == -1


def test_categories_are_numbered_as_the_model_numbers_them():
    flows = NetworkTraffic(max_categories=2)
    model = NetworkTraffic()
    seen = SeenBy(model.spec, model).rows["test"].raw
    again = SeenBy(model.spec, flows).rows["test"].raw
    at = model.spec.schema.names.index("service")
    kept = again[:, at] < model.spec.schema.columns[at].bins - 1
    assert 0 < kept.float().mean() < 1
    assert (again[kept][:, at] == seen[kept][:, at]).all()


def test_help_names_the_data_sets(capsys):
    with pytest.raises(SystemExit) as end:
        evaluate.main(["--help"])
    assert end.value.code == 0
    page = capsys.readouterr().out
    assert all(word in page for word in ("models:/<name>@<alias>", "Digits", "Table", "--evaluation.bootstrap"))
