"""What is kept on disk while the server is away, and how it is sent."""

import os
import re
import signal
import subprocess
import sys
import time

import mlflow
import mlflow.pyfunc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from pipelines import sync, tracking
from pipelines.delivery import Delivery
from pipelines.outbox import Outbox, Sender
from pipelines.tracking import Tracker
from tests.pipelines.helpers import ROOT, history, wait_for

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
