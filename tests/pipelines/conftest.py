"""What the tests of the commands share: stores, a server that can be killed, a small recipe, and ways to train it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow.pyfunc
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from tests.pipelines.helpers import ROOT, SMALL, Server
from tests.postgresql import postgresql

MODEL_CODE = """
import mlflow
class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float]) -> list[float]:
        return [2 * x for x in model_input]
mlflow.models.set_model(Double())
"""


@pytest.fixture(scope="module")
def _server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(_server, monkeypatch) -> Iterator[Server]:
    """The running server, set as the tracking URI; running again for the next test."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _server.uri)
    yield _server
    if _server.process.poll() is not None:
        _server.start()


@pytest.fixture(scope="session")
def database_template(tmp_path_factory) -> bytes:
    """The bytes of an empty store: its schema takes seconds to make."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def store(workspace, monkeypatch, database_template) -> MlflowClient:
    """A client of an empty sqlite store in an empty working directory, and no run given from outside."""
    (workspace / "mlflow.db").write_bytes(database_template)
    uri = f"sqlite:///{workspace}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return MlflowClient(uri)


@pytest.fixture
def recipe(workspace) -> Path:
    """A recipe that is trained, tested and packed within seconds: a small VAE on 200 digits."""
    path = workspace / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


class Answer(NamedTuple):
    """What a command in this process has returned and said."""

    code: int
    out: str
    err: str


def answered(main: Callable[[list[str]], int], words: Iterable[object], capsys) -> Answer:
    """What a command answers to these words, in this process."""
    capsys.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as end:
        code = end.code
    return Answer(code, *capsys.readouterr())


@pytest.fixture
def train(recipe, capsys) -> Callable[..., Answer]:
    """Trains in this process: ``train("--model.latent_dim", 4)``; by the small recipe unless told otherwise."""
    from pipelines.command_line import run
    from pipelines.train import train as command

    def trained(*words: object) -> Answer:
        argv = [str(word) for word in words]
        given = {"--config", "--recipe", "--resume"} & set(argv)
        capsys.readouterr()
        try:
            code = run(command, argv if given else ["--config", str(recipe), *argv])
        except SystemExit as end:
            code = end.code
        return Answer(code, *capsys.readouterr())

    return trained


@pytest.fixture
def process(recipe) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts ``python -m pipelines.train`` with these words; what still lives at the end is killed."""
    started: list[subprocess.Popen] = []

    def start(*words: object, **environment: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "pipelines.train", *map(str, words)]
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"} | environment
        started.append(subprocess.Popen(command, env=env, stdout=-1, stderr=-1, text=True, start_new_session=True))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()


@pytest.fixture
def runs(store) -> Callable[[], list[Run]]:
    """All runs of the store, whatever their experiment."""
    return lambda: store.search_runs([experiment.experiment_id for experiment in store.search_experiments()])


@pytest.fixture
def model_directory(tmp_path):
    (tmp_path / "code.py").write_text(MODEL_CODE)
    path = tmp_path / "saved"
    mlflow.pyfunc.save_model(path, python_model=str(tmp_path / "code.py"), pip_requirements=["mlflow"])
    return path


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "grid.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return path


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """A private PostgreSQL server's URL without a database."""
    with postgresql("studies") as port:
        yield f"postgresql://studies@127.0.0.1:{port}"


@pytest.fixture
def postgres(_postgres, request) -> str:
    """The URL of an empty database in a real PostgreSQL."""
    from sqlalchemy import create_engine, text

    name = f"studies_{abs(hash(request.node.name)) % 10**9}"
    engine = create_engine(
        f"{_postgres.replace('postgresql', 'postgresql+pg8000')}/postgres", isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{_postgres}/{name}"
