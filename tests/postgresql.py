"""A real PostgreSQL server in a temporary folder, where its programs are installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs() -> Path:
    """The folder of PostgreSQL's programs; the test is skipped where there is none."""
    found = shutil.which("pg_ctl")
    if found is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    return Path(found).resolve().parent


def owner() -> str:
    """Who runs the server: PostgreSQL does not run as root."""
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return user


@contextmanager
def postgresql(superuser: str, password: str | None = None) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that believes everyone, or with a password, nobody without theirs."""
    folder, user = programs(), owner()
    with tempfile.TemporaryDirectory(prefix="postgresql_") as place:
        shutil.chown(place, user)
        port, data, word = free_port(), f"{place}/data", Path(place, "password")
        word.write_text(password or "")
        shutil.chown(word, user)

        def run(*words: str) -> None:
            subprocess.run([str(folder / words[0]), *words[1:]], user=user, cwd=place, check=True, stdout=-3, stderr=-3)

        checked = ["-A", "scram-sha-256", "--pwfile", str(word)] if password else ["-A", "trust"]
        run("initdb", "-D", data, "-U", superuser, *checked, "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-l", f"{place}/log", "-o", options, "start")
        try:
            yield port
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
