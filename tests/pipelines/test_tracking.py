import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import mlflow
import mlflow.pyfunc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from PIL import Image

from lit_ae.errors import UserError
from pipelines import sync, tracking
from pipelines.delivery import Delivery
from pipelines.outbox import Outbox, Sender
from pipelines.tracking import Tracker, TrackingLogger

ROOT = Path(__file__).parents[2]
MODEL_CODE = """
import mlflow
class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float]) -> list[float]:
        return [2 * x for x in model_input]
mlflow.models.set_model(Double())
"""


class Server:
    """A real tracking server that can be killed and started again on the same port."""

    def __init__(self, directory: Path):
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self.directory}/server.db"]
        artifacts = ["--artifacts-destination", str(self.directory / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "server", *store, *artifacts, *address]
        with (self.directory / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError((self.directory / "server.log").read_text())

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    mlflow.set_tracking_uri(None)


@pytest.fixture
def store(monkeypatch, tmp_path, database_template):
    """A fresh sqlite store, and a client of it."""
    (tmp_path / "mlflow.db").write_bytes(database_template)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return MlflowClient(uri)


@pytest.fixture(scope="module")
def database_template(tmp_path_factory):
    """The bytes of an empty store: its schema takes seconds to make."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture(scope="module")
def _server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(_server, monkeypatch):
    """The running server, set as the tracking URI; running again for the next test."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _server.uri)
    yield _server
    if _server.process.poll() is not None:
        _server.start()


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


def history(client, run_id, key):
    return sorted((m.step, m.value) for m in client.get_metric_history(run_id, key))


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


# What a run leaves


def test_everything_logged_is_in_the_one_run(store, tmp_path, picture, model_directory):
    tracker = Tracker.open(run_name="first", tags={"who": "me"})
    tracker.log_metrics({"val/elbo": -1.5, "val/nan": float("nan")}, step=0)
    tracker.log_metrics({"val/elbo": -1.25}, step=1)
    tracker.log_metrics({"test/mse": 0.5}, step=1)
    tracker.log_params({f"model/p{i}": i for i in range(250)} | {"long": "x" * 7000})
    tracker.log_file(picture, "pictures")
    tracker.log_image(picture, "reconstructions/val", step=3)
    tracker.log_dataset("Digits", "ab" * 32, {"train": 1437, "test": 180}, "scikit-learn", shape=(1, 8, 8))
    tracker.log_model(model_directory, step=7)
    assert wait_for(lambda: "system/cpu" in tracker._outbox.path.read_text())
    assert tracker.finish("FINISHED", reason="done")

    (run,) = store.search_runs([tracker.experiment_id])
    assert (run.info.run_id, run.info.status, run.info.run_name) == (tracker.run_id, "FINISHED", "first")
    assert run.info.end_time >= run.info.start_time
    assert store.get_experiment(tracker.experiment_id).name == "lit-ae"
    assert history(store, tracker.run_id, "val/elbo") == [(0, -1.5), (1, -1.25)]
    assert len(run.data.params) == 251
    assert run.data.params["model/p249"] == "249"
    assert len(run.data.params["long"]) == 6000
    assert run.data.tags["lit_ae.reason"] == "done"
    assert run.data.tags["who"] == "me"
    assert "mlflow.source.name" in run.data.tags
    assert "system/cpu_utilization_percentage" in run.data.metrics
    assert [f.path for f in store.list_artifacts(tracker.run_id, "pictures")] == ["pictures/grid.png"]
    (full, small) = sorted(f.path for f in store.list_artifacts(tracker.run_id, "images"))[::-1]
    assert re.match(r"images/reconstructions~val\+step\+3\+timestamp\+\d+\+.*png", min(full, small, key=len))
    assert mlflow.active_run() is None

    inputs = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    assert {k: json.loads(d.profile)["num_rows"] for k, d in inputs.items()} == {"train": 1437, "test": 180}
    assert "[-1, 1, 8, 8]" in json.loads(inputs["train"].schema)["mlflow_tensorspec"]["features"]
    assert inputs["train"].digest.startswith("abab")

    (output,) = run.outputs.model_outputs
    model = store.get_logged_model(output.model_id)
    assert (model.name, model.source_run_id, model.status, output.step) == ("model", tracker.run_id, "READY", 7)
    assert [(m.key, m.value) for m in model.metrics] == [("test/mse", 0.5)]
    assert history(store, tracker.run_id, "test/mse") == [(1, 0.5)]
    for uri in (f"runs:/{tracker.run_id}/model", f"models:/{output.model_id}"):
        loaded = mlflow.pyfunc.load_model(uri)
        assert loaded.predict([1.0, 2.0]) == [2.0, 4.0]
        assert loaded.metadata.model_id == output.model_id
        assert loaded.metadata.run_id == tracker.run_id
    version = mlflow.register_model(f"runs:/{tracker.run_id}/model", "champion")
    assert version.source == f"models:/{output.model_id}"
    assert mlflow.pyfunc.load_model("models:/champion/1").predict([3.0]) == [6.0]


def test_finish_twice_keeps_the_first_status(store):
    tracker = Tracker.open()
    assert tracker.finish("KILLED", reason="Ctrl-C")
    assert tracker.finish("FINISHED")
    assert store.get_run(tracker.run_id).info.status == "KILLED"


def test_run_of_mlflow_run_is_adopted(store, monkeypatch):
    made = store.create_run("0")
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)
    tracker = Tracker.open(tags={"a": "b"})
    assert "MLFLOW_RUN_ID" not in os.environ
    assert tracker.finish("FAILED")
    (run,) = store.search_runs([e.experiment_id for e in store.search_experiments()])
    assert (run.info.run_id, run.info.status, run.data.tags["a"]) == (made.info.run_id, "FAILED", "b")


def test_resumed_run_goes_on_and_repeats_nothing(store, monkeypatch):
    first = Tracker.open()
    first.log_metrics({"loss": 1.0}, step=0)
    first.log_metrics({"loss": 0.5}, step=1)
    assert first.finish("KILLED", reason="SIGTERM")
    monkeypatch.setenv("MLFLOW_RUN_ID", store.create_run("0").info.run_id)
    again = Tracker.open(resume=first.run_id)
    assert wait_for(lambda: store.get_run(first.run_id).info.status == "RUNNING")
    again.log_metrics({"loss": 0.5}, step=1)
    again.log_metrics({"loss": 0.25}, step=2)
    assert again.finish("FINISHED")
    (run,) = store.search_runs([e.experiment_id for e in store.search_experiments()])
    assert (run.info.run_id, run.info.status, run.data.tags["lit_ae.reason"]) == (first.run_id, "FINISHED", "")
    assert history(store, run.info.run_id, "loss") == [(0, 1.0), (1, 0.5), (2, 0.25)]


def test_nobody_else_writes_or_sends_a_living_run(store, capsys):
    tracker = Tracker.open()
    with pytest.raises(UserError, match="another process"):
        Tracker.open(resume=tracker.run_id)
    assert sync.main([tracker.run_id]) == 2
    assert "another process" in capsys.readouterr().err
    assert tracker.finish("FINISHED")


def test_logger_passes_on_metrics_without_epoch(store, tmp_path):
    tracker = Tracker.open()
    logger = TrackingLogger(tracker)
    logger.log_metrics({"train/loss": 2.0, "epoch": 4}, step=40)
    logger.log_hyperparams({"a": 1})
    assert (logger.name, logger.version, logger.save_dir) == ("", tracker.run_id, str(tmp_path / "outputs"))
    assert tracker.finish("FINISHED")
    data = store.get_run(tracker.run_id).data
    assert history(store, tracker.run_id, "train/loss") == [(40, 2.0)]
    assert "epoch" not in data.metrics
    assert data.params == {}
    assert TrackingLogger(None).version == ""


# What is refused


def test_refused_values_are_named_and_the_others_kept(store, caplog, tmp_path):
    tracker = Tracker.open()
    tracker.log_metrics({"good": 1.0, "bad*name": 2.0}, step=0)
    tracker.log_metrics({"word": "not a number"}, step=0)
    tracker.log_params({"a": 1, "b": 2})
    tracker.log_params({"a": 3, "c": 4})
    tracker.log_file(tmp_path / "missing.txt")
    assert tracker.finish("FINISHED")
    run = store.get_run(tracker.run_id)
    assert run.data.metrics["good"] == 1.0
    assert run.data.params == {"a": "1", "b": "2", "c": "4"}
    assert run.info.status == "FINISHED"
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("pipelines")]
    assert len(lines) == 4
    words = ["missing.txt", "metrics bad*name=2.0", "params a=3", "not a number"]
    for line, word in zip(sorted(lines), words, strict=True):
        assert word in line


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:1", "does not answer"),
        ("http://user:secret@127.0.0.1:1", "http://127.0.0.1:1 does not answer"),
        ("sqlite:////dev/null/x/mlflow.db", "cannot be used"),
        ("sqlite:///:memory:", "names no database file"),
        ("./mlruns", "keeps no runs in the folder"),
        ("nonsense://x", "cannot be used"),
    ],
)
def test_unusable_store_is_one_sentence(uri, words, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    start = time.monotonic()
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        Tracker.open()
    assert time.monotonic() - start < 8
    assert "\n" not in str(caught.value)
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_file_that_is_no_database_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be taken for one " * 20)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/notes.txt")
    with pytest.raises(UserError, match=r"notes\.txt cannot be used"):
        Tracker.open()


@pytest.mark.parametrize(("answer", "words"), [(401, "wants a password"), (None, "does not answer")])
def test_server_that_refuses_or_hangs_is_one_sentence(answer, words, monkeypatch):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            if answer is None:
                time.sleep(8)
            self.send_response(answer or 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{listener.server_port}")
    start = time.monotonic()
    with pytest.raises(UserError, match=words):
        Tracker.open()
    assert time.monotonic() - start < 7
    listener.shutdown()


def test_unknown_and_deleted_runs_and_experiments_are_one_sentence(store, monkeypatch):
    with pytest.raises(UserError, match="no run 'nonsense'"):
        Tracker.open(resume="nonsense")
    run = store.create_run("0")
    store.delete_run(run.info.run_id)
    with pytest.raises(UserError, match="mlflow runs restore"):
        Tracker.open(resume=run.info.run_id)
    store.delete_experiment(store.create_experiment("old"))
    with pytest.raises(UserError, match="'old' was deleted"):
        Tracker.open("old")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    with pytest.raises(UserError, match="MLFLOW_EXPERIMENT_ID=77"):
        Tracker.open()


@pytest.mark.slow
def test_four_processes_may_create_the_same_store_at_once(tmp_path):
    code = "from pipelines.store import *; c = connect(tracking_uri()); print(find_experiment(c, tracking_uri(), 'x'))"
    env = os.environ | {"MLFLOW_TRACKING_URI": "sqlite:///fresh/mlflow.db", "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=env, cwd=tmp_path, stdout=-1, stderr=-1, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, answers
    assert len({out.strip() for out, _ in answers}) == 1


# What happens when the server dies


@pytest.mark.slow
def test_server_killed_in_the_middle_costs_nothing(server, caplog):
    tracker = Tracker.open()
    for step in range(30):
        if step == 10:
            assert wait_for(lambda: tracker._outbox.is_empty)
            server.kill()
        if step == 20:
            assert wait_for(lambda: tracker._sender.lost)
            server.start()
        start = time.monotonic()
        tracker.log_metrics({"train/loss": step / 7, "val/loss": float("nan")}, step=step)
        assert time.monotonic() - start < 0.1
    assert tracker.finish("FINISHED")
    client = MlflowClient(server.uri)
    assert history(client, tracker.run_id, "train/loss") == [(step, step / 7) for step in range(30)]
    assert len(client.get_metric_history(tracker.run_id, "val/loss")) == 30
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("pipelines")]
    assert len(lines) == 2
    assert "does not answer; training goes on" in lines[0]
    assert str(tracker.directory / "outbox.jsonl") in lines[0]
    assert "answers again" in lines[1]


@pytest.mark.slow
def test_server_dead_at_the_end_is_sent_by_sync(server, monkeypatch, caplog, capsys, picture, model_directory):
    monkeypatch.setattr(tracking, "PATIENCE", 1.5)
    monkeypatch.setattr(sync, "PATIENCE", 1.5)
    tracker = Tracker.open()
    server.kill()
    tracker.log_metrics({"loss": 1.0}, step=0)
    tracker.log_file(picture)
    tracker.log_image(picture, "grid", 0)
    tracker.log_model(model_directory)
    caplog.clear()
    assert not tracker.finish("FAILED", reason="out of memory")
    assert caplog.records[-1].getMessage().endswith(f"`python -m pipelines.sync {tracker.run_id}`")

    assert sync.main([tracker.run_id]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "does not answer" in message

    server.start()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync.main([]) == 0
    assert re.search(r"\d+ records sent to http", capsys.readouterr().out)
    run = MlflowClient(server.uri).get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["lit_ae.reason"], run.data.metrics["loss"]) == ("FAILED", "out of memory", 1)
    mlflow.set_tracking_uri(server.uri)
    assert mlflow.pyfunc.load_model(f"runs:/{tracker.run_id}/model").predict([1.0]) == [2.0]
    assert sync.main([]) == 0
    assert "Nothing waits" in capsys.readouterr().out
    assert sync.main(["nonsense"]) == 2


def test_killed_process_leaves_everything_to_sync(store, tmp_path, capsys):
    code = """
import os, signal
from pathlib import Path
from pipelines.delivery import Delivery
from pipelines.tracking import Tracker
sent = Delivery.deliver
def dies_after_sending(self, records):  # before it is noted that they were sent
    if records[-1].content.get("step", 0) < 50 or records[0].content["kind"] != "metrics":
        return sent(self, records)
    sent(self, records)
    os.kill(os.getpid(), signal.SIGKILL)
Delivery.deliver = dies_after_sending
tracker = Tracker.open()
for step in range(100):
    tracker.log_metrics({"loss": step / 3}, step)
print(tracker.run_id, flush=True)
with tracker._outbox.path.open("ab") as file:
    file.write(b'{"kind": "metrics", "val')
import time; time.sleep(60)
"""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    run_id = process.stdout.split()[0]
    assert not Outbox(tmp_path / "outputs" / run_id).is_empty
    assert store.get_run(run_id).info.status == "RUNNING"
    assert sync.main([]) == 0, capsys.readouterr().err
    assert history(store, run_id, "loss") == [(step, step / 3) for step in range(100)]
    assert store.get_run(run_id).info.status == "KILLED"


def test_model_sent_in_several_tries_is_one_ready_model(store, monkeypatch, model_directory):
    tries: list[str] = []

    def fails_first(name):
        original = getattr(MlflowClient, name)

        def call(self, *args, **kwargs):
            tries.append(name)
            if tries.count(name) == 1:
                raise ConnectionError("cut")
            result = original(self, *args, **kwargs)
            if tries.count(name) == 2:
                raise ConnectionError("cut after the server had it")
            return result

        monkeypatch.setattr(MlflowClient, name, call)

    tracker = Tracker.open()
    for name in ("log_model_artifacts", "finalize_logged_model", "log_outputs"):
        fails_first(name)
    tracker.log_model(model_directory)
    assert tracker.finish("FINISHED")
    (model,) = store.search_logged_models([tracker.experiment_id])
    assert model.status == "READY"
    (output,) = store.get_run(tracker.run_id).outputs.model_outputs
    assert output.model_id == model.model_id


def test_image_sent_twice_is_one_image(store, picture):
    tracker = Tracker.open()
    tracker.log_image(picture, "a/b", step=1)
    assert tracker.finish("FINISHED")
    delivery = Delivery(store, tracker.run_id)
    for record in tracker._outbox.records():
        assert delivery.deliver([record]) == []
    assert len(store.list_artifacts(tracker.run_id, "images")) == 2


# The outbox by itself


class Memory:
    """A recipient that refuses the odd batch for a while."""

    def __init__(self, failing=(), well=True):
        self.sent: list[int] = []
        self.failing, self.well = set(failing), well

    def deliver(self, records):
        if self.failing & {r.content["n"] for r in records}:
            raise ConnectionError("not now")
        self.sent += [r.content["n"] for r in records]
        return []

    def check_run(self):
        if not self.well:
            raise ConnectionError


def test_record_that_alone_fails_lets_the_others_pass(tmp_path, caplog):
    outbox, recipient = Outbox(tmp_path), Memory(failing={1})
    for n in range(4):
        outbox.append("tags", n=n)
    sender = Sender(outbox, recipient, "memory")
    assert not sender.flush(2.0)
    sender.close()
    assert recipient.sent == [0, 2, 3]
    assert len(caplog.records) == 1

    recipient.failing = set()
    sender = Sender(Outbox(tmp_path), recipient, "memory")
    assert sender.flush(2.0)
    sender.close()
    assert recipient.sent == [0, 2, 3, 1]
    assert Outbox(tmp_path).is_empty


def test_nothing_passes_a_dead_server(tmp_path):
    outbox, recipient = Outbox(tmp_path), Memory(failing={1}, well=False)
    for n in range(3):
        outbox.append("tags", n=n)
    sender = Sender(outbox, recipient, "memory")
    assert not sender.flush(1.0)
    sender.close()
    assert recipient.sent == [0]
    assert outbox.waiting() == 2


@given(st.lists(st.binary(max_size=40), max_size=4), st.lists(st.sampled_from(["metrics", "tags"]), max_size=8))
@settings(max_examples=50, deadline=None)
def test_any_torn_tail_costs_only_itself(tmp_path_factory, tails, kinds):
    directory = tmp_path_factory.mktemp("outbox")
    for n, kind in enumerate(kinds):
        outbox = Outbox(directory)
        outbox.append(kind, n=n, values={"a": 1.0})
        with outbox.path.open("ab") as file:
            file.write(tails[n % len(tails)].replace(b"\n", b"") if tails else b"")
    outbox, found = Outbox(directory), []
    while batch := outbox.next_batch():
        found += [record.content["n"] for record in batch]
        outbox.mark_sent(batch)
    assert found == list(range(len(kinds)))
    assert Outbox(directory).is_empty


def test_help_is_quick_and_says_how():
    start = time.monotonic()
    command = [sys.executable, "-m", "pipelines.sync", "--help"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 2
    assert "--output_dir" in answer.stdout
