"""Requests a second and latencies beside ``mlflow models serve``: ``python -m benchmarks.serving``."""

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.scoring import COLUMNS, pack
from lit_ae.errors import UserError
from pipelines.command_line import ROOT, one_line_errors

PATIENCE = 120.0  # s that a server may take to start
HEADERS = {"Content-Type": "application/json"}


class Contender(NamedTuple):
    """A server: its name, its command without the port, and where it is asked."""

    name: str
    command: list[str]
    path: str


class Load(NamedTuple):
    """So many clients, each with a connection of its own, that ask one request after another of so many rows."""

    rows: int
    clients: int


class Measured(NamedTuple):
    """One turn: requests a second, and seconds of each request."""

    rate: float
    seconds: list[float]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints a table."""
    asked = parser().parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = "1"  # of every server alike
    with one_line_errors(), tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = pack(Path(folder))
        bodies = {rows: body_of(rows) for rows in asked.rows}
        contenders = contenders_of(model)
        ports = {one.name: stack.enter_context(served(one, Path(folder))) for one in contenders}
        print(f"\n{COLUMNS} columns; {asked.turns} turns of {asked.seconds:g} s each\n")
        print(
            "| rows a request | clients | server | requests/s | lowest-highest | p50, ms | p99, ms | beside MLflow's |"
        )
        print("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
        for load in (Load(rows, clients) for rows in asked.rows for clients in asked.clients):
            print_load(contenders, ports, load, bodies[load.rows], asked.turns, asked.seconds)
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Requests a second, p50 and p99 of mlflow models serve and of pipelines.serve, with and without "
        "joined requests, on one packed model of a table with a detector. The servers take turns, and the clients run "
        "on the same machine.",
    )
    add = parser.add_argument
    add("--rows", type=int, nargs="+", default=[1, 100], help="rows of a request")
    add("--clients", type=int, nargs="+", default=[1, 8], help="clients that ask at once")
    add("--turns", type=int, default=3, help="turns that each server has at each load")
    add("--seconds", type=float, default=5.0, help="length of a turn")
    return parser


def contenders_of(model: Path) -> list[Contender]:
    """MLflow's server first: the others are measured by it."""
    mlflow = ["mlflow", "models", "serve", "--env-manager", "local", "--model-uri", str(model)]
    ours = ["pipelines.serve", str(model), "--drain", "0"]
    return [
        Contender("mlflow models serve", mlflow, "/invocations"),
        Contender("pipelines.serve /score", ours, "/score"),
        Contender("pipelines.serve /invocations", ours, "/invocations"),
        Contender("pipelines.serve /score, nothing joined", [*ours, "--max_batch", "1"], "/score"),
    ]


def body_of(rows: int) -> dict[str, bytes]:
    """The same rows as each address takes them."""
    import numpy as np

    values = np.random.default_rng(1).standard_normal((rows, COLUMNS)).round(6).tolist()
    split = {"columns": [f"column_{number}" for number in range(COLUMNS)], "data": values}
    asked: dict[str, Any] = {"/score": split, "/invocations": {"dataframe_split": split}}
    return {path: json.dumps(body).encode() for path, body in asked.items()}


@contextmanager
def served(contender: Contender, folder: Path) -> Iterator[int]:
    """The port of a server that answers, and is ended afterwards.

    Raises:
        UserError: it does not come up.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with (folder / f"{port}.log").open("w") as log:
        command = [sys.executable, "-W", "ignore", "-m", *contender.command, "--port", str(port)]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(port, server, folder / f"{port}.log")
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when the server answers.

    Raises:
        UserError: it has ended, or is not there in time.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise UserError(f"A server did not come up: {' '.join(log.read_text().split())[-300:]}")


def print_load(
    contenders: list[Contender], ports: dict[str, int], load: Load, bodies: dict[str, bytes], turns: int, seconds: float
) -> None:
    """The rows of the table for one load."""
    found: dict[str, list[Measured]] = {one.name: [] for one in contenders}
    for turn in range(turns + 1):  # the first is not counted: threads and caches come to life
        for one in contenders:
            measured = ask(ports[one.name], one.path, bodies[one.path], load.clients, seconds if turn else 0.5)
            if turn:
                found[one.name].append(measured)
    reference = median(measured.rate for measured in found[contenders[0].name])
    for name, measured_turns in found.items():
        rates = [measured.rate for measured in measured_turns]
        cuts = quantiles([1000 * s for measured in measured_turns for s in measured.seconds], n=100, method="inclusive")
        print(
            f"| {load.rows} | {load.clients} | {name} | {median(rates):,.1f} | {min(rates):,.1f}-{max(rates):,.1f} | "
            f"{cuts[49]:,.1f} | {cuts[98]:,.1f} | {median(rates) / reference:.2f} |",
            flush=True,
        )


def ask(port: int, path: str, body: bytes, clients: int, seconds: float) -> Measured:
    """What a server does in so many seconds.

    Raises:
        UserError: an answer is not 200.
    """
    taken: list[float] = []
    wrong: list[str] = []
    began = time.perf_counter()
    threads = [
        threading.Thread(target=ask_on, args=(port, path, body, began + seconds, taken, wrong)) for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise UserError(f"{len(wrong)} requests to {path} were not answered, the first so: {wrong[0]}.")
    return Measured(len(taken) / (time.perf_counter() - began), taken)


def ask_on(port: int, path: str, body: bytes, until: float, taken: list[float], wrong: list[str]) -> None:
    """One client: asks until the time has come, at least once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while not taken or time.perf_counter() < until:
        began = time.perf_counter()
        connection.request("POST", path, body, HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            wrong.append(f"{answer.status} {text[:200]!r}")
            break
        taken.append(time.perf_counter() - began)
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
