"""The command itself, as a process that is asked over HTTP, loses its registry, and is told to stop."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

from pipelines import serve
from pipelines.serving.server import bound
from tests.pipelines.helpers import ROOT, Server


class Process:
    """A server of models in a process of its own."""

    def __init__(self, words: list[str], environment: dict[str, str], limit: int | None = None):
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"} | environment
        before = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
        command = [sys.executable, "-m", "pipelines.serve", *words, "--port", "0"]
        self.process = subprocess.Popen(command, env=env, stdout=-1, stderr=-1, text=True, preexec_fn=before)
        self.lines: list[dict] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def said(self, event: str) -> list[dict]:
        return [line for line in list(self.lines) if line["event"] == event]

    @property
    def address(self) -> str:
        deadline = time.monotonic() + 90
        while not self.said("Serving") and time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(0.05)
        assert self.said("Serving"), self.process.stderr.read()
        return self.said("Serving")[0]["address"]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def listens(address: str) -> bool:
    """Whether a server takes new connections."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def started(workspace) -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def start(*words: object, limit: int | None = None, **environment: str) -> Process:
        processes.append(Process([str(word) for word in words], environment, limit))
        return processes[-1]

    yield start
    for one in processes:
        one.process.kill()
        one.process.wait()


def test_a_process_answers_refuses_logs_and_stops(started, plants, rows):
    server = started(plants.first, "--log", "log", "--drain", 1, "--max_bytes", 1 << 20, LIT_AE_API_KEY="sesame")
    address, key = server.address, {"X-API-Key": "sesame"}
    expected = mlflow.pyfunc.load_model(str(plants.first)).predict(rows)
    answer = requests.post(f"{address}/score", json=rows.to_dict("records"), headers=key, timeout=30)
    assert [row["score"] for row in answer.json()["rows"]] == expected["score"].tolist()
    too_long = requests.post(f"{address}/score", data=b" " * (1 << 23), headers=key, timeout=30)
    assert too_long.status_code == 413
    assert requests.post(f"{address}/score", json=[], timeout=30).status_code == 401
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 10
    while requests.get(f"{address}/ready", timeout=5).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert requests.get(f"{address}/ready", timeout=5).json()["ready"] is False
    late = requests.post(f"{address}/score", json=rows.to_dict("records"), headers=key, timeout=30)
    assert late.status_code == 200
    assert server.process.wait(30) == 0
    assert len(pd.read_parquet("log")) == 6
    assert server.said("Stopping")[0]["signal"] == "SIGTERM"
    assert [line["status"] for line in server.said("request") if line["path"] == "/score"] == [200, 413, 401, 200]
    assert "sesame" not in json.dumps(server.lines) + server.process.stderr.read()


@pytest.mark.slow
def test_what_is_under_way_is_answered_before_the_end(started, plants, rows):
    server = started(plants.first, "--drain", 0)
    address = server.address
    body = json.dumps(rows.to_dict("records")).encode()
    client = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    client.putrequest("POST", "/score")
    client.putheader("Content-Length", str(len(body)))
    client.endheaders(body[:10])
    metric = "lit_ae_requests_under_way 1.0"
    while metric not in requests.get(f"{address}/metrics", timeout=5).text:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    while listens(address):
        time.sleep(0.01)
    client.send(body[10:])
    answer = client.getresponse()
    assert (answer.status, len(json.loads(answer.read())["rows"])) == (200, 3)
    client.close()
    assert server.process.wait(30) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_model_goes_on_when_the_tracking_server_dies(started, plants, rows, tmp_path):
    tracking = Server(tmp_path)
    tracking.start()
    try:
        client = MlflowClient(tracking.uri)
        experiment = client.create_experiment("plants")
        run = client.create_run(experiment).info.run_id
        client.log_artifacts(run, str(plants.first), "model")
        client.create_registered_model("plant")
        client.create_model_version("plant", f"{client.get_run(run).info.artifact_uri}/model", run)
        client.set_registered_model_alias("plant", "champion", "1")
        server = started("models:/plant@champion", "--poll", 0.2, "--drain", 0, MLFLOW_TRACKING_URI=tracking.uri)
        address = server.address
    finally:
        tracking.kill()
    event = "The alias can't be looked up; the loaded model goes on serving"
    deadline = time.monotonic() + 30
    while not server.said(event) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "does not answer" in server.said(event)[0]["reason"]
    answer = requests.post(f"{address}/score", json=rows.to_dict("records"), timeout=30)
    assert (answer.status_code, answer.json()["model_version"]) == (200, "1")
    assert requests.get(f"{address}/ready", timeout=5).status_code == 200
    assert server.stop() == 0


@pytest.mark.slow
def test_a_really_full_disk_costs_no_answer(started, plants, rows):
    server = started(plants.first, "--log", "log", "--log_rows", 3, "--drain", 0, limit=512)
    address = server.address
    for _ in range(20):
        assert requests.post(f"{address}/score", json=rows.to_dict("records"), timeout=30).status_code == 200
    time.sleep(1)
    assert "lit_ae_log_failures_total 0.0" not in requests.get(f"{address}/metrics", timeout=5).text
    assert server.stop() == 0
    assert list(Path("log").iterdir()) == []


def refused(capsys, *words: object) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        serve.main([str(word) for word in words])
    said = capsys.readouterr()
    assert (end.value.code, said.out, said.err.count("\n")) == (2, "", 1), said
    assert said.err.startswith("lit-ae: ")
    return said.err


def test_what_cannot_be_served_is_said_in_one_line(capsys, registered, plants, monkeypatch):
    assert "no registered model 'plnt' " in refused(capsys, "models:/plnt@champion")
    assert "did you mean champion?" in refused(capsys, "models:/plant@champoin")
    assert "There is no model" in refused(capsys, "models:/plant/9")
    assert "There is no model nowhere" in refused(capsys, "nowhere")
    assert "no device abacus" in refused(capsys, plants.first, "--device", "abacus")
    assert "has a detector, which judges on the CPU" in refused(capsys, plants.first, "--device", "meta")
    assert "must be at least 1" in refused(capsys, plants.first, "--max_rows", 0)
    assert "between 0 and 65535" in refused(capsys, plants.first, "--port", 70_000)
    assert "required: model" in refused(capsys)
    monkeypatch.setenv("LIT_AE_API_KEY", "")
    assert "LIT_AE_API_KEY holds no API key" in refused(capsys, plants.first)
    monkeypatch.delenv("LIT_AE_API_KEY")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port} can't be listened on" in refused(capsys, plants.first, "--port", port)
    Path("log").write_text("a file")
    assert "--log log can't be written" in refused(capsys, plants.first, "--port", 0, "--log", "log")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    assert "does not answer" in refused(capsys, "models:/plant@champion", "--port", 0)


def test_help(capsys):
    with pytest.raises(SystemExit) as end:
        serve.main(["--help"])
    assert end.value.code == 0
    assert "models:/<name>@<alias>" in capsys.readouterr().out


def test_answers_are_sent_at_once():
    with bound("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # without it asyncio leaves Nagle's algorithm on: 40 ms a request
