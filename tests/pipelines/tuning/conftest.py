"""What the tests of studies share: a small study, ways to run it, and a real PostgreSQL."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.tune import main
from tests.pipelines.conftest import Answer
from tests.pipelines.helpers import ROOT

STUDY = {
    "recipe": "small.yaml",
    "space": {
        "model.latent_dim": {"int": [2, 16], "log": True},
        "model.optimizer.lr": {"float": [0.0001, 0.1], "log": True},
    },
    "objectives": "val/loss",
    "trials": 3,
    "final_seeds": 0,
}


@pytest.fixture
def written(recipe, store) -> Callable[..., Path]:
    """Writes the small study with changes: ``written(trials=5)``; gives its file."""

    def write(name: str = "study", **changes: Any) -> Path:
        path = Path(f"{name}.yaml")
        path.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture
def tune(capsys) -> Callable[..., Answer]:
    """The command in this process; its workers are processes of their own."""

    def tuned(*words: object) -> Answer:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        return Answer(code, *capsys.readouterr())

    return tuned


@pytest.fixture
def tuning() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts ``python -m pipelines.tune``; what still lives at the end is killed, its workers too."""
    started: list[subprocess.Popen] = []

    def start(*words: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "pipelines.tune", *map(str, words)]
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        started.append(subprocess.Popen(command, env=env, stdout=-1, stderr=-1, text=True, start_new_session=True))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()


def _binaries() -> Path | None:
    """The folder of PostgreSQL's programs."""
    found = shutil.which("pg_ctl")
    return Path(found).resolve().parent if found else None


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """A private PostgreSQL server's URL without a database."""
    folder = _binaries()
    if folder is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="studies_") as place, socket.socket() as probe:
        shutil.chown(place, user)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        data = f"{place}/data"

        def run(*words: str) -> None:
            subprocess.run([str(folder / words[0]), *words[1:]], user=user, cwd=place, check=True, stdout=-3, stderr=-3)

        run("initdb", "-D", data, "-U", "studies", "-A", "trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-l", f"{place}/log", "-o", options, "start")
        try:
            yield f"postgresql://studies@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


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
