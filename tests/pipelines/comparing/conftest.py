"""A store of runs that were packed without being trained for long, made once, and the command that compares them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mlflow
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from pipelines import compare
from pipelines.command_line import read
from pipelines.configuration import configure
from pipelines.detecting import make_detector, make_profile
from pipelines.provenance import log_provenance
from pipelines.training import open_run, pack
from tests.pipelines.conftest import Answer

DIGITS = {
    "model": {
        "class_path": "lit_ae.variants.Autoencoder",
        "init_args": {
            "latent_dim": 3,
            "network": {"class_path": "lit_ae.networks.MLP", "init_args": {"hidden": [16]}},
        },
    },
    "data": {"class_path": "data.Digits", "init_args": {"fit_rows": 200}},
}
SENSORS = {
    **DIGITS,
    "data": {"class_path": "data.Sensors", "init_args": {"fit_rows": 400}},
    "detection": {"alpha": 0.05},
}


class Store(NamedTuple):
    """A store of runs: their ids by name, and where they keep their files."""

    uri: str
    folder: Path
    ids: dict[str, str]

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    def runs(self) -> list[Run]:
        """All runs of the store, the latest first."""
        return self.client.search_runs([one.experiment_id for one in self.client.search_experiments()])


def made(folder: Path, recipe: dict, *words: str) -> str:
    """The id of a finished run of a recipe, packed with the weights that it began with; its figures are made up."""
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    line = configure(read(["--config", str(file), "--tracking.output_dir", str(folder / "outputs"), *words]))
    tracker = open_run(line, None)
    log_provenance(tracker, line, is_resumed=False)
    tracker.log_metrics({"test/mse": 0.25, "test/psnr": 6.0, "cost/fit_seconds": 2.0}, 1)
    line.model.eval()
    detector = make_detector(line, line.model, [])
    pack(line.model, line.datamodule, tracker, 1, detector, make_profile(detector, line.datamodule))
    assert tracker.finish("FINISHED")
    return tracker.run_id


@pytest.fixture(scope="package")
def _made(tmp_path_factory, database_template) -> Store:
    folder = tmp_path_factory.mktemp("compared")
    (folder / "mlflow.db").write_bytes(database_template)
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        wide = ("--model.network.hidden", "[24]")
        ids = {
            "first": made(folder, DIGITS),
            "second": made(folder, DIGITS, "--seed_everything", "1"),
            "wide": made(folder, DIGITS, *wide),
            "sensors": made(folder, SENSORS),
            "vae_sensors": made(folder, SENSORS, "--model", "VAE"),
            "symmetric": made(folder, DIGITS, "--data.symmetric", "true"),
        }
        version = mlflow.register_model(f"runs:/{ids['wide']}/model", "digits").version
        MlflowClient(uri).set_registered_model_alias("digits", "champion", version)
        with mlflow.start_run(run_name="empty") as run:
            ids["empty"] = run.info.run_id
    return Store(uri, folder, ids)


@pytest.fixture
def made_runs(_made, workspace, monkeypatch) -> Store:
    """The store of runs, set as the tracking URI; the working directory is empty."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _made.uri)
    return _made


@pytest.fixture
def judge(made_runs, capsys) -> Callable[..., Answer]:
    """Compares in this process."""

    def judged(*words: object) -> Answer:
        capsys.readouterr()
        brief = ("--resamples", 200, "--turns", 2, "--output_dir", made_runs.folder / "outputs")
        given = [str(made_runs.ids.get(str(word), word)) for word in words]
        try:
            code = compare.main([*given, *map(str, brief)] if given != ["--help"] else given)
        except SystemExit as end:
            code = end.code
        return Answer(code, *capsys.readouterr())

    return judged
