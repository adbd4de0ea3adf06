"""One run with a true status, whatever becomes of the processes of a training. All slow: each starts the command."""

import signal
import sys
from pathlib import Path

import pytest

from tests.distributed.commands import QUICK, TRAIN, TWO, Started, history, last_weights, the_run, train, two_nodes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SABOTAGE = [sys.executable, str(Path(__file__).with_name("sabotage.py"))]
PLAIN = "--model=Autoencoder"
FIGURES = 1e-4  # relative: 32-bit sums are taken in another order

OF_THE_MACHINE = ("system/", "cost/")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    assert train(folder, PLAIN, "--trainer.max_epochs=3") == 0
    return folder


@pytest.mark.parametrize("door", ["two processes", "two nodes"])
def test_figures_equal_those_of_one_process(door, one, tmp_path):
    if door == "two nodes":
        assert two_nodes(tmp_path, PLAIN, "--trainer.max_epochs=3") == [0, 0]
    else:
        assert train(tmp_path, PLAIN, "--trainer.max_epochs=3", *TWO) == 0
    run, expected = the_run(tmp_path), the_run(one)
    assert run.info.status == "FINISHED"
    names = {name for name in expected.data.metrics if not name.startswith(OF_THE_MACHINE)}
    assert names == {name for name in run.data.metrics if not name.startswith(OF_THE_MACHINE)}
    assert {"train/loss", "val/loss", "test/loss", "test/mse", "pca/mse"} <= names
    for name in names:
        given, wanted = history(tmp_path, name), history(one, name)
        assert [step for step, _ in given] == [step for step, _ in wanted]
        assert [v for _, v in given] == pytest.approx([v for _, v in wanted], rel=FIGURES), name


def test_a_stopped_training_leaves_no_process_and_goes_on_bit_for_bit(tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    options = [PLAIN, *TWO, "--trainer.max_epochs=60"]
    assert train(whole, *options) == 0
    started = Started([*TRAIN, *QUICK, *options], stopped).until("epoch 15/60")
    started.process.send_signal(signal.SIGTERM)
    assert started.ended() == 128 + signal.SIGTERM
    killed = the_run(stopped)
    assert killed.info.status == "KILLED"
    assert not any(name.startswith("test/") for name in killed.data.metrics)
    assert Started([*TRAIN, "--resume", killed.info.run_id], stopped, "resumed").ended() == 0
    assert the_run(stopped).info.status == "FINISHED"
    expected = last_weights(whole)
    assert all(tensor.equal(expected[name]) for name, tensor in last_weights(stopped).items())
    assert history(stopped, "train/loss") == history(whole, "train/loss")


@pytest.mark.parametrize(("rank", "how"), [(0, "raise"), (1, "raise"), (1, "die"), (1, "start")])
def test_a_process_that_fails_takes_the_training_with_it(rank, how, tmp_path):
    started = Started([*SABOTAGE, str(rank), how, *QUICK, PLAIN, *TWO, "--trainer.max_epochs=3"], tmp_path)
    assert started.ended() == 1
    run = the_run(tmp_path)
    assert run.info.status == "FAILED"
    assert run.data.tags["lit_ae.reason"]
    if how == "raise":
        assert "ValueError: sabotage" in started.output


def test_a_loss_that_goes_bad_in_one_process_is_named_by_all(tmp_path):
    started = Started([*SABOTAGE, "1", "nan", *QUICK, PLAIN, *TWO, "--trainer.max_epochs=3"], tmp_path)
    assert started.ended() == 1
    run = the_run(tmp_path)
    assert run.info.status == "FAILED"
    assert "train/reconstruction is not finite at step 3" in run.data.tags["lit_ae.reason"]


def test_strategies_that_lose_the_model_are_refused_in_one_line(tmp_path):
    started = Started([*TRAIN, *QUICK, PLAIN, "--trainer.devices=2", "--trainer.strategy=ddp_spawn"], tmp_path)
    assert started.ended() == 2
    lines = [line for line in started.output.splitlines() if line.startswith("lit-ae:")]
    assert lines == [
        "lit-ae: ddp_spawn, ddp_fork and ddp_notebook lose the trained model with their processes: "
        "set trainer.strategy to ddp."
    ]
    assert not (tmp_path / "mlflow.db").exists()
