"""``python -m pipelines.evaluate``: any model, on any data that fit it, in a run of its own."""

import mlflow
import pytest

from data import Digits, NetworkTraffic
from pipelines import evaluate
from pipelines.evaluating import SeenBy, check_fit
from tests.pipelines.conftest import Answer

NO_EXTRAS = ("--evaluation.nll_samples", "0", "--evaluation.probe_rows", "0")


@pytest.fixture
def judge(store, capsys):
    """Evaluates in this process."""

    def judged(*words: object) -> Answer:
        capsys.readouterr()
        try:
            code = evaluate.main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        return Answer(code, *capsys.readouterr())

    return judged


def test_a_run_a_folder_and_an_alias_are_judged_as_the_training_did(train, judge, runs, store):
    assert train().code == 0
    (trained,) = runs()
    run_id = trained.info.run_id
    version = mlflow.register_model(f"runs:/{run_id}/model", "digits").version
    store.set_registered_model_alias("digits", "champion", version)
    addresses = (run_id, f"outputs/{run_id}/model", "models:/digits@champion")
    for address in addresses:
        given = () if address == run_id else ("--data", "Digits", "--data.fit_rows", 200)
        answer = judge(address, *given, *NO_EXTRAS)
        assert answer.code == 0, answer.err
        assert "mse" in answer.out
    judged = [run for run in runs() if run.info.run_id != run_id]
    assert {run.data.tags["evaluated"] for run in judged} == set(addresses)
    for run in judged:
        assert run.info.status == "FINISHED"
        for key in ("test/mse", "test/ssim", "pca/mse"):
            assert run.data.metrics[key] == pytest.approx(trained.data.metrics[key], rel=1e-6)
        kept = {file.path for file in store.list_artifacts(run.info.run_id)}
        assert {"figures.md", "figures.json", "pictures"} <= kept


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


def test_data_that_do_not_fit_are_refused_before_a_run_is_opened(train, judge, runs):
    train()
    (trained,) = runs()
    answer = judge(trained.info.run_id, "--data", "MNIST")
    assert answer.code == 2
    assert "The model takes samples of shape [1, 8, 8], and MNIST has [1, 28, 28]" in answer.err
    assert len(runs()) == 1


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
