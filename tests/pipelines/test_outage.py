"""What goes wrong in a sound training: a figure is NaN, the server dies, the disk is full."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from lit_ae.variants import VAE
from pipelines import sync
from pipelines.outbox import Outbox
from pipelines.tracking import Tracker
from tests.pipelines.helpers import ROOT, history, wait_for


def checkpoint(run_id: str, name: str = "last") -> dict:
    return torch.load(Path("outputs", run_id, "checkpoints", f"{name}.ckpt"), weights_only=True)


# NaN


def test_diverging_training_stops_with_step_and_term(train, runs):
    answer = train("--model.optimizer", "SGD", "--model.optimizer.lr", "1e30")
    assert answer.code == 1
    assert re.fullmatch(
        r"\nlit-ae: Training stopped: train/\w+ is not finite at step \d+; the last good checkpoint is none .*: "
        r"lower the learning rate, or set trainer\.gradient_clip_val\.\n",
        answer.err,
    )
    (run,) = runs()
    assert run.info.status == "FAILED"
    assert "is not finite at step" in run.data.tags["lit_ae.reason"]


def test_nan_names_its_term_and_keeps_the_last_good_checkpoint(train, store, runs, monkeypatch):
    sound = VAE.terms

    def broken_at_step_9(self, passed):
        terms = sound(self, passed)
        spoilt = self.training and self.trainer.global_step == 9
        return {**terms, "kl": terms["kl"] * float("nan")} if spoilt else terms

    with monkeypatch.context() as patched:
        patched.setattr(VAE, "terms", broken_at_step_9)
        answer = train("--trainer.max_epochs", 4)
    (run,) = runs()
    run_id = run.info.run_id
    assert (answer.code, run.info.status) == (1, "FAILED")
    assert "train/kl is not finite at step 9; the last good checkpoint is " in answer.err
    assert "Traceback" not in answer.err
    assert "train/kl is not finite at step 9" in run.data.tags["lit_ae.reason"]
    kept = checkpoint(run_id)
    assert kept["global_step"] == 8
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())
    assert {Path(f.path).name for f in store.list_artifacts(run_id, "checkpoints")} == {"best.ckpt", "last.ckpt"}
    assert run.outputs.model_outputs == []

    assert train("--resume", run_id).code == 0
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(store, run_id, "train/loss")] == [0, 1, 2, 3]


# The server dies


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_server_that_dies_in_the_middle_of_a_training(server, process, recipe, capsys):
    small = ("--data.batch_size", 4, "--trainer.max_epochs", 40)
    training = process("--config", recipe, *small, MLFLOW_TRACKING_URI=server.uri)
    client = MlflowClient(server.uri)

    def first_epochs():
        found = client.search_runs([e.experiment_id for e in client.search_experiments()])
        return found and found[0].data.metrics.get("train/loss") and found[0].info.run_id

    run_id = wait_for(first_epochs, 120)
    assert run_id
    server.kill()
    out, err = training.communicate(timeout=200)
    assert training.returncode == 0, err
    assert "epoch 40/40" in out
    assert "Traceback" not in err
    assert f"python -m pipelines.sync {run_id}" in err

    server.start()
    command, env = [sys.executable, "-m", "pipelines.sync", run_id], os.environ | {"PYTHONPATH": str(ROOT)}
    sent = subprocess.run(command, capture_output=True, text=True, env=env)
    assert sent.returncode == 0, sent.stderr
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(client, run_id, "train/loss")] == list(range(40))
    mlflow.set_tracking_uri(server.uri)
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert model.predict(np.zeros((2, 1, 8, 8), np.float32)).shape == (2, 1, 8, 8)


# The disk is full


@pytest.mark.parametrize(
    "place",
    [
        "pipelines.training.package",
        "os.fsync",
        pytest.param("pipelines.portfolio.pictures.error_histogram", marks=pytest.mark.slow),
    ],
)
def test_full_disk_fails_the_run_and_leaves_no_half_model(place, train, store, runs, monkeypatch):
    def full(*args, **kwargs):
        for path in args:
            if isinstance(path, Path) and path.name == "model.part":
                path.mkdir()
                (path / "MLmodel").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(place, full)
        answer = train()
    (run,) = runs()
    run_id = run.info.run_id
    assert (answer.code, run.info.status) == (2, "FAILED")
    assert re.fullmatch(
        rf"\nlit-ae: Training stopped: the disk of .* is full: .* python -m pipelines\.train --resume {run_id}\n",
        answer.err,
    )
    assert "No space left on device" in run.data.tags["lit_ae.reason"]
    assert run.outputs.model_outputs == []
    assert list(Path("outputs", run_id).glob("model*")) == []
    assert list(Path("outputs", run_id).rglob("*.part")) == []
    assert train("--resume", run_id).code == 0
    assert [r.info.status for r in runs()] == ["FINISHED"]


def test_status_and_reason_need_no_room_on_the_disk(store, monkeypatch):
    def full(self, kind, **content):
        raise OSError(errno.ENOSPC, "No space left on device")

    tracker = Tracker.open()
    monkeypatch.setattr(Outbox, "append", full)
    tracker.log_metrics({"loss": 1.0}, step=0)
    tracker.finish("FAILED", reason="the disk is full")
    run = store.get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["lit_ae.reason"]) == ("FAILED", "the disk is full")


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 1 MB, where this user may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("this user may mount no file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_disk_that_is_really_full(small_disk, train, runs):
    answer = train("--tracking.output_dir", small_disk, "--model.network.hidden", "[2000]")
    (run,) = runs()
    assert (answer.code, run.info.status) == (2, "FAILED")
    assert "is full: free some space" in answer.err
    assert "Traceback" not in answer.err
    assert list((small_disk / run.info.run_id).rglob("*.part")) == []


# What waits is sent


@pytest.mark.slow
def test_training_of_a_killed_process_is_sent_by_sync(process, recipe, store, runs, capsys):
    training = process("--config", recipe, "--data.batch_size", 2, "--trainer.max_epochs", 50)
    assert wait_for(lambda: runs() and runs()[0].data.metrics.get("train/loss"), 120)
    time.sleep(0.5)
    os.kill(training.pid, signal.SIGKILL)
    training.communicate()
    (run,) = runs()
    assert run.info.status == "RUNNING"
    assert sync.main([run.info.run_id]) == 0, capsys.readouterr().err
    assert runs()[0].info.status == "KILLED"
