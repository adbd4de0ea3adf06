import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time

import mlflow
import mlflow.pyfunc
import pytest

from lit_ae.errors import UserError
from pipelines import sync
from pipelines.store import tracking_uri, without_password
from pipelines.tracking import Tracker, TrackingLogger
from tests.pipelines.helpers import ROOT, history, wait_for

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
    assert history(store, tracker.run_id, "train/loss") == [(4, 2.0)]
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


def test_user_and_password_of_an_address_are_kept_apart_from_it(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://anna:s%40cr:et@host:5000/mlflow")
    assert (
        tracking_uri() == mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"] == "https://host:5000/mlflow"
    )
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "anna"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "s@cr:et"
    assert tracking_uri() == "https://host:5000/mlflow"


@pytest.mark.parametrize("password", ["plain", "with@sign", "a:b", ""])
def test_no_password_is_shown(password):
    assert without_password(f"postgresql://anna:{password}@host/runs") == "postgresql://host/runs"


@pytest.mark.parametrize(
    ("answer", "words"), [(401, "wants a password"), (403, "This user may not do this"), (None, "does not answer")]
)
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
