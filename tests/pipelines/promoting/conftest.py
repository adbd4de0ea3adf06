"""A store with a few trained models, for all tests of this folder; each test takes a name of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from mlflow import MlflowClient

from pipelines import promote
from pipelines.command_line import run
from pipelines.train import train
from tests.pipelines.conftest import Answer, answered
from tests.pipelines.helpers import SENSORS, SMALL

LENIENT = {
    "challenger": {
        "test": {"margin": 0.5, "resamples": 20},
        "recall": {"margin": 2.0, "resamples": 20},
        "false_alarms": {"excess": 5.0},
        "size": {},
        "schema": {},
    },
    "first": {"false_alarms": {"excess": 5.0}, "size": {}},
}


class Trained(NamedTuple):
    """The store, its address, and runs by what they are."""

    client: MlflowClient
    uri: str
    folder: Path
    runs: dict[str, str]


@pytest.fixture(scope="session")
def _trained(tmp_path_factory, database_template) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "mlflow.db").write_bytes(database_template)
    uri = f"sqlite:///{folder}/mlflow.db"
    weaker = ["--trainer.max_epochs", "1", "--model.latent_dim", "1", "--model.network.hidden", "[2]"]
    wanted = {
        "sound": (SENSORS, []),
        "other": (SENSORS, ["--seed_everything", "1", "--data.fit_on_tune", "true"]),
        "worse": (SENSORS, weaker),
        "foreign": (SENSORS, ["--data.spikes", "[3.0, 5.0]", "--trainer.max_epochs", "1"]),
        "digits": (SMALL, ["--trainer.max_epochs", "6", "--evaluation.information_rows", "0"]),
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_URI", uri)
        patched.chdir(folder)
        patched.setattr("pipelines.training.draw_portfolio", lambda *_: "nowhere")  # takes most of the time
        for name, (recipe, changes) in wanted.items():
            Path(f"{name}.yaml").write_text(yaml.safe_dump(recipe))
            assert run(train, ["--config", f"{name}.yaml", "--tracking.run_name", name, *changes]) == 0
        client = MlflowClient(uri)
        found = client.search_runs([client.get_experiment_by_name("lit-ae").experiment_id])
    return Trained(client, uri, folder, {one.info.run_name: one.info.run_id for one in found})


@pytest.fixture
def trained(_trained, monkeypatch) -> Trained:
    """The store with its runs, as the tracking store, in its working directory."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _trained.uri)
    monkeypatch.chdir(_trained.folder)
    (_trained.folder / "lenient.yaml").write_text(json.dumps(LENIENT))
    return _trained


@pytest.fixture
def put_up(capsys) -> Callable[..., Answer]:
    """Promotes in this process: ``put_up("digits", "--version", 3)``."""

    def promoted(*words: object) -> Answer:
        return answered(promote.main, words, capsys)

    return promoted
