"""Where a model comes from, by each of its addresses."""

import shutil
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from lit_ae.errors import UserError
from pipelines.registry import Origin, origin_of
from pipelines.tracking import Tracker

UNKNOWN = "0" * 32


@pytest.fixture
def run_id(store: MlflowClient, workspace: Path, model_directory: Path) -> str:
    """A run whose model is version 1 of the name plant, and its champion."""
    tracker = Tracker.open("lit-ae", "first", output_dir=Path("outputs"))
    shutil.copytree(model_directory, tracker.directory / "model")
    tracker.log_model(tracker.directory / "model")
    tracker.finish("FINISHED")
    store.create_registered_model("plant")
    store.create_model_version("plant", f"runs:/{tracker.run_id}/model", tracker.run_id)
    store.set_registered_model_alias("plant", "champion", "1")
    return tracker.run_id


def test_every_address_of_a_model_leads_to_its_run(store, run_id, tmp_path):
    (logged,) = store.get_run(run_id).outputs.model_outputs
    of_run, of_version = Origin(run_id), Origin(run_id, "plant", "1")
    found = {
        address: origin_of(store, address)
        for address in (run_id, f"runs:/{run_id}/model", f"models:/{logged.model_id}")
    }
    assert set(found.values()) == {of_run}
    assert origin_of(store, "models:/plant/1") == origin_of(store, "models:/plant@champion") == of_version
    assert origin_of(store, f"outputs/{run_id}/model") == of_run
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(Path("outputs", run_id, "model"), elsewhere)
    assert origin_of(store, str(elsewhere)) == Origin(None)
    for named, known in ((run_id, run_id), (UNKNOWN, None)):
        (elsewhere / "MLmodel").write_text(yaml.safe_dump({"flavors": {}, "run_id": named}))
        assert origin_of(store, str(elsewhere)) == Origin(known)


def test_what_nobody_knows_has_no_run_and_a_wrong_name_is_told(store, run_id):
    for address in (f"models:/m-{UNKNOWN}", "nowhere", f"outputs/{UNKNOWN}/model", "runs:/first/model"):
        assert origin_of(store, address) == Origin(None)
    for address, reason in (
        ("models:/plnt@champion", "did you mean plant?"),
        ("models:/plant@champ", "mean champion?"),
    ):
        with pytest.raises(UserError, match=reason.replace("?", r"\?")):
            origin_of(store, address)
