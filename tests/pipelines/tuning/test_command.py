"""How a study's file and flags become its definition."""

import os

import pytest

from pipelines.store import CONTINUED_TAG, leave_given_run
from pipelines.tuning.command import known, read, studies


@pytest.mark.parametrize("name", studies())
def test_every_ready_study_is_one(name):
    asked = read(["--study", name])
    assert asked.action == "tune"
    assert asked.definition.name == name


def test_the_ready_studies_are_there():
    assert {"tune_latent", "tune_beta", "tune_sparsity"} <= set(studies())


def test_flags_go_before_the_file_and_the_trainings_flags_before_its_recipe(written):
    file = written(sampler="random", trials=5)
    asked = read(["--study", str(file), "--trials", "7", "--name=other", "--model.latent_dim", "4", "--workers", "2"])
    assert (asked.definition.name, asked.running.workers) == ("other", 2)
    assert asked.definition.search["trials"] == 7
    assert asked.definition.search["sampler"] == "random"
    request = asked.definition.request({"model.optimizer.lr": 1e-05}, "--a=b")
    assert request.arguments[-3:] == ["--model.latent_dim=4", "--model.optimizer.lr=1e-05", "--a=b"]


def test_storage_of_the_environment_goes_after_flag_and_file(written, monkeypatch):
    monkeypatch.setenv("LIT_AE_STORAGE", "postgresql://u:word@host/studies")
    assert read(["--study", str(written())]).running.storage == "postgresql://u:word@host/studies"
    assert read(["--study", str(written(storage="file.journal"))]).running.storage == "file.journal"
    assert read(["--study", str(written()), "--storage", "flag.journal"]).running.storage == "flag.journal"


def test_what_mlflow_run_hands_over(written):
    """Every -P becomes --name value."""
    asked = read(["--study", str(written()), "--workers", "2", "--join", "true", "--show", "false"])
    assert (asked.action, asked.running.join) == ("tune", True)


def test_the_help_page_names_studies_and_every_option(capsys):
    assert read(["--help"]) is None
    page = capsys.readouterr().out
    for name in [*studies(), *known("Search"), *known("Running"), "dashboard", "show", "proxy"]:
        assert name in page
    assert "tune_beta" in page


def test_a_command_that_joins_leaves_the_run_that_mlflow_made_for_it(store, monkeypatch):
    given = store.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    leave_given_run(store, "the study's")
    run = store.get_run(given)
    assert (run.info.lifecycle_stage, run.data.tags[CONTINUED_TAG]) == ("deleted", "the study's")
    assert "MLFLOW_RUN_ID" not in os.environ
