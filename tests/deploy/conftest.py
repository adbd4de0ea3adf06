"""The tracking server of deploy/, started by its own scripts on a real PostgreSQL, and commands of users elsewhere."""

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from mlflow.server import get_app_client

from tests.pipelines import helpers
from tests.pipelines.helpers import ROOT
from tests.postgresql import free_port, postgresql, programs

DEPLOY = ROOT / "deploy"
USERS = ("trainer", "scorer")
SECRETS = ("superuser", "mlflow", "studies", "admin", "forms", "api_key", *USERS)
SENSORS = {**helpers.SENSORS, "seed_everything": 0, "trainer": {"max_epochs": 2, "accelerator": "cpu"}}
STUDY = {"recipe": "sensors.yaml", "space": {"model.latent_dim": {"int": [2, 8]}}, "objectives": "val/loss"}
LENIENT = {
    "first": {"false_alarms": {"excess": 5.0}, "size": {}},
    "challenger": {"false_alarms": {"excess": 5.0}, "schema": {}},
}


class Told(NamedTuple):
    """What a command has returned and said."""

    code: int
    out: str
    err: str


class Production:
    """PostgreSQL with MLflow's databases, the tracking server that can be stopped, and users with folders of their own.

    Attributes:
        words: every secret by whose it is; none may be found anywhere.
        said: what every command has printed.
    """

    def __init__(self, folder: Path, postgres_port: int, words: dict[str, str]):
        self.folder, self.words, self.said = folder, words, ""
        self._postgres_port, self.port = postgres_port, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.storage = f"postgresql://studies:{words['studies']}@127.0.0.1:{postgres_port}/studies"
        self.process: subprocess.Popen[bytes] | None = None
        for user in USERS:
            (folder / user).mkdir()
            for name, content in (("sensors", SENSORS), ("study", STUDY), ("lenient", LENIENT)):
                (folder / user / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def make_databases(self) -> None:
        """By the script that PostgreSQL's image runs at its first start."""
        words = {"MLFLOW_DB_PASSWORD": self.words["mlflow"], "STUDIES_DB_PASSWORD": self.words["studies"]}
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(self._postgres_port), "PGUSER": "admin"}
        env = clean() | words | place | {"PGPASSWORD": self.words["superuser"]}
        subprocess.run([str(DEPLOY / "databases.sh")], env=env, check=True, capture_output=True)

    def start(self, **more: str) -> None:
        """By the script that the image of the tracking server runs."""
        settings = {
            "MLFLOW_DB_PASSWORD": self.words["mlflow"],
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.words["admin"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.words["forms"],
            "MLFLOW_ARTIFACTS_DESTINATION": str(self.folder / "artifacts"),
            "POSTGRES_PORT": str(self._postgres_port),
            "MLFLOW_PORT": str(self.port),
            "MLFLOW_WORKERS": "1",
        }
        with (self.folder / "server.log").open("a") as log:
            command = [str(DEPLOY / "tracking_server.sh")]
            env = clean() | settings | more
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        wait_for_health(f"{self.uri}/health", self.process, self.folder / "server.log")

    def stop(self) -> None:
        """At once, as when its machine loses power."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def make_users(self) -> None:
        """By the admin, who alone may."""
        with pytest.MonkeyPatch.context() as patched:
            self.log_in(patched, "admin")
            for user in USERS:
                get_app_client("basic-auth", self.uri).create_user(user, self.words[user])

    def log_in(self, patched: pytest.MonkeyPatch, user: str) -> None:
        """Makes this process that user's."""
        for name, value in self.credentials(user).items():
            patched.setenv(name, value)

    def credentials(self, user: str) -> dict[str, str]:
        """What a user sets before everything else."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": self.words[user],
        }

    def begin(self, user: str, *words: object, **more: str) -> subprocess.Popen[str]:
        """Starts ``python -m <words>`` in the folder of a user."""
        env = clean() | self.credentials(user) | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"} | more
        command = [sys.executable, "-m", *map(str, words)]
        return subprocess.Popen(
            command, cwd=self.folder / user, env=env, stdout=-1, stderr=-1, text=True, start_new_session=True
        )

    def run(self, user: str, *words: object, **more: str) -> Told:
        """Runs it to its end."""
        return self.end_of(self.begin(user, *words, **more))

    def end_of(self, process: subprocess.Popen[str]) -> Told:
        """What a command says until it ends."""
        out, err = process.communicate(timeout=600)
        self.said += out + err
        return Told(process.returncode, out, err)


def clean() -> dict[str, str]:
    """The environment without what would choose another server, study or database."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PG", "LIT_AE_", "AWS_"))
    }
    return env | {"PATH": f"{Path(sys.executable).parent}:{programs()}:{env['PATH']}"}


def wait_for_health(url: str, process: subprocess.Popen, log: Path, seconds: float = 240.0) -> None:
    """Waits until a server answers."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(log.read_text())


@pytest.fixture(scope="session")
def _production(tmp_path_factory) -> Iterator[Production]:
    pytest.importorskip("flask_wtf", reason="MLflow's users need Flask-WTF: pip install '.[dev]'")
    words = {name: f"{name}-{secrets.token_hex(12)}" for name in SECRETS}
    with postgresql("admin", words["superuser"]) as port:
        production = Production(tmp_path_factory.mktemp("production"), port, words)
        production.make_databases()
        try:
            production.start()
            production.make_users()
            yield production
        finally:
            production.stop()


@pytest.fixture
def production(_production, monkeypatch) -> Production:
    """The running server; this process is its admin."""
    _production.log_in(monkeypatch, "admin")
    return _production
