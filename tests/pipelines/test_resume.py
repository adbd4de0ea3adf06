"""A training that was stopped, however it was, goes on in the same run and ends as if it had never been stopped."""

import json
import os
import re
import signal
import time
from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch
from safetensors.torch import load_file

from data import Digits
from lit_ae.networks import MLP
from lit_ae.optimization import Cosine, Plateau
from lit_ae.schedules import LinearWarmup
from lit_ae.variants import VAE
from pipelines.callbacks import History, Interrupted, StopBetweenSteps, StopEarly
from pipelines.checkpoints import BestCheckpoint, LastCheckpoint, WholeFiles
from tests.pipelines.helpers import history, wait_for

MANY_STEPS = ["--data.batch_size", 2, "--data.fit_rows", 1200, "--data.binarize", "dynamic"]  # 600 an epoch
SIGNALS = {signal.SIGINT: ("KILLED", 130), signal.SIGTERM: ("KILLED", 143), signal.SIGKILL: ("RUNNING", -9)}


def run_directory() -> Path:
    (directory,) = Path("outputs").glob("*/")
    return directory


def state_of(directory: Path, name: str = "last") -> dict:
    return torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)


def steps_done(directory: Path) -> int:
    return state_of(directory)["global_step"]


def epochs_logged(directory: Path) -> int:
    return (directory / "outbox.jsonl").read_text().count('"train/loss"')


def assert_same_training(run: Path, other: Path) -> None:
    """The same weights bit for bit, and the same figures of each epoch."""
    for name in ("best", "last"):
        first, second = state_of(run, name), state_of(other, name)
        assert first["global_step"] == second["global_step"]
        assert all(torch.equal(a, second["state_dict"][key]) for key, a in first["state_dict"].items())
    weights = [load_file(next(directory.glob("model/**/*.safetensors"))) for directory in (run, other)]
    assert all(torch.equal(a, weights[1][key]) for key, a in weights[0].items())
    assert json.loads((run / "figures.json").read_text()) == json.loads((other / "figures.json").read_text())


@pytest.fixture
def never_stopped(train, store):
    """Trains the same without a stop, in folders of its own; gives its directory."""

    def trained(*words) -> Path:
        answer = train(*words, "--tracking.output_dir", "whole")
        assert answer.code == 0, answer.err
        return next(Path("whole").glob("*/"))

    return trained


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_stopped_in_mid_epoch_and_resumed_equals_never_stopped(number, process, recipe, store, runs, never_stopped):
    status, code = SIGNALS[number]
    words = ["--config", recipe, *MANY_STEPS, "--trainer.max_epochs", 4]
    first = process(*words)
    assert wait_for(lambda: list(Path("outputs").glob("*/outbox.jsonl")) and epochs_logged(run_directory()), 120)
    time.sleep(0.3)
    first.send_signal(number)
    out, err = first.communicate(timeout=60)
    directory = run_directory()
    assert first.returncode == code, err
    assert "Traceback" not in err
    assert steps_done(directory) < 4 * 600
    assert (steps_done(directory) % 600 == 0) == (number == signal.SIGKILL)
    (run,) = runs()
    assert run.info.status == status
    if status == "KILLED":
        assert f"--resume {run.info.run_id}" in out
        assert run.data.tags["lit_ae.reason"] == number.name

    second = process("--resume", run.info.run_id)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    (run,) = runs()
    assert (run.info.run_id, run.info.status) == (directory.name, "FINISHED")
    for key in ("train/loss", "train/kl", "val/loss", "val/mse"):
        assert [step for step, _ in history(store, directory.name, key)] == [0, 1, 2, 3]
    assert_same_training(directory, never_stopped(*words[2:]))


@pytest.mark.slow
def test_second_signal_stops_at_once(process, recipe, runs):
    training = process("--config", recipe, *MANY_STEPS, "--trainer.max_epochs", 50)
    assert wait_for(lambda: list(Path("outputs").glob("*/outbox.jsonl")) and epochs_logged(run_directory()), 120)
    training.send_signal(signal.SIGINT)
    training.send_signal(signal.SIGTERM)
    _, err = training.communicate(timeout=60)
    assert training.returncode in (130, 143)
    assert "Traceback" not in err
    assert runs()[0].info.status == "KILLED"


@pytest.mark.parametrize(
    "place", ["pipelines.training.draw_portfolio", pytest.param("pipelines.training.evaluate", marks=pytest.mark.slow)]
)
def test_stopped_after_the_training_and_resumed(place, train, runs, monkeypatch, never_stopped):
    def stop(*args):
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(place, stop)
        answer = train()
    assert answer.code == 143
    (run,) = runs()
    assert run.info.status == "KILLED"
    assert re.search(rf"Stopped by SIGTERM.*--resume {run.info.run_id}", answer.out)
    assert train("--resume", run.info.run_id).code == 0
    assert [r.info.status for r in runs()] == ["FINISHED"]
    assert_same_training(run_directory(), never_stopped())


def test_stopped_before_the_first_step_and_resumed_starts_over(train, store, runs, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.training.fit", lambda *args: os.kill(os.getpid(), signal.SIGINT))
        assert train().code == 130
    (run,) = runs()
    assert run.info.status == "KILLED"
    assert train("--resume", run.info.run_id).code == 0
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(store, run.info.run_id, "train/loss")] == [0, 1, 2]


@pytest.mark.slow
def test_what_the_server_has_kept_is_enough_to_go_on(train, runs, workspace, monkeypatch, never_stopped):
    """The run's folder is gone, and the new one stands elsewhere."""
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.training.judge", lambda *args: os.kill(os.getpid(), signal.SIGINT))
        assert train().code == 130
    (run,) = runs()
    run_directory().rename("gone")
    words = ("--resume", run.info.run_id, "--tracking.output_dir", "elsewhere")
    assert train(*words).code == 0
    assert [r.info.status for r in runs()] == ["FINISHED"]
    assert_same_training(Path("elsewhere") / run.info.run_id, never_stopped())


# The pieces, in this process and without a run


class SignalAt(L.Callback):
    """Sends this process SIGTERM at a step, in the middle of its epoch or while it is validated."""

    def __init__(self, step: int, hook: str = "on_train_batch_start"):
        self.step = step
        setattr(self, hook, self.send)

    def send(self, trainer, *args):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def fit(folder: Path, learning_rate, *callbacks: L.Callback, resume: bool = False, **options):
    """Three steps an epoch; returns the model, and the figures of every epoch."""
    L.seed_everything(11 if not resume else 12, verbose=False)
    model = VAE(
        Digits().spec, beta=LinearWarmup(1, 2), latent_dim=6, network=partial(MLP, hidden=[32]),
        optimizer=partial(torch.optim.Adam, lr=0.05), learning_rate=learning_rate,
    )  # fmt: skip
    L.seed_everything(11, verbose=False)
    stop, curves = StopBetweenSteps(), History()
    stop.keep_in(folder / "last.ckpt")
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, inference_mode=False,
        num_sanity_val_steps=0, use_distributed_sampler=False, plugins=WholeFiles(),
        callbacks=[*callbacks, stop, curves, BestCheckpoint(folder), LastCheckpoint(folder)], **options,
    )  # fmt: skip
    with stop.listening():
        point = folder / "last.ckpt" if resume else None
        trainer.fit(model, Digits(batch_size=50, fit_rows=150, seed=1), ckpt_path=point, weights_only=True)
    return model, curves.figures


@pytest.mark.parametrize("schedule", [partial(Plateau, patience=0), Cosine], ids=["plateau", "cosine"])
@pytest.mark.parametrize(
    "options",
    [{"max_epochs": 5}, {"max_epochs": 50, "max_steps": 14}, {"max_epochs": 6, "accumulate_grad_batches": 2}],
    ids=lambda options: " ".join(options),
)
def test_a_stop_at_any_step_changes_nothing(tmp_path, schedule, options):
    whole, curves = fit(tmp_path, schedule(), **options)
    best = state_of_file(tmp_path / "best.ckpt")
    for step, hook in ((4, "on_train_batch_start"), (5, "on_train_batch_start"), (6, "on_validation_start")):
        folder = tmp_path / f"{step}"
        with pytest.raises(Interrupted):
            fit(folder, schedule(), SignalAt(step, hook), **options)
        resumed, figures = fit(folder, schedule(), resume=True, **options)
        assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
        assert figures["val/loss"] == curves["val/loss"]
        assert [epoch for epoch, _ in figures["train/loss"]] == [epoch for epoch, _ in curves["train/loss"]]
        assert all(torch.equal(a, state_of_file(folder / "best.ckpt")[key]) for key, a in best.items())


def state_of_file(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def test_one_that_had_ended_early_trains_no_further(tmp_path):
    make = partial(StopEarly, patience=1, min_delta=1000.0)
    _, curves = fit(tmp_path, Cosine(), make(), max_epochs=9)
    assert len(curves["val/loss"]) == 3
    _, figures = fit(tmp_path, Cosine(), make(), resume=True, max_epochs=9)
    assert figures == curves


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    files, place = WholeFiles(), tmp_path / "last.ckpt"
    files.save_checkpoint({"a": torch.ones(3)}, place)
    monkeypatch.setattr("os.fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        files.save_checkpoint({"a": torch.zeros(3)}, place)
    assert torch.equal(torch.load(place, weights_only=True)["a"], torch.ones(3))
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
