"""What a training leaves, by whichever door it came in, and that it can be done again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import EarlyStopping

from data import Digits
from lit_ae.module import LitAutoencoder
from lit_ae.schedules import LinearWarmup
from lit_ae.variants import VAE
from pipelines.callbacks import StopEarly
from pipelines.command_line import run
from pipelines.train import train as command
from tests.pipelines.helpers import ROOT, history

TERMS = ("train/loss", "train/reconstruction", "train/kl", "val/loss", "val/reconstruction", "val/kl", "val/mse")
FIGURES = {"test/loss", "test/mse", "test/psnr", "test/ssim", "test/elbo", "test/nll", "test/linear_probe", "pca/mse"}


def artifacts(store, run_id: str, folder: str = "") -> set[str]:
    return {Path(file.path).name for file in store.list_artifacts(run_id, folder or None)}


def test_one_run_holds_everything(process, recipe, store, runs, monkeypatch):
    words = ("--evaluation.nll_samples", 5, "--evaluation.probe_rows", 100, "--tracking.pictures_every", 2)
    trained = process("--config", recipe, *words)
    out, err = trained.communicate()
    assert (trained.returncode, err) == (0, "")
    (run,) = runs()
    run_id, data = run.info.run_id, run.data
    assert run.info.status == "FINISHED"
    assert artifacts(store, run_id) >= {"config.yaml", "versions.txt", "figures.md", "figures.json", "pictures"}
    assert artifacts(store, run_id, "checkpoints") == {"best.ckpt", "last.ckpt"}
    drawn = {"reconstructions.png", "learning_curves.png", "errors.png", "samples.png", "traversals.png", "kl.png"}
    assert artifacts(store, run_id, "pictures") >= drawn
    assert len([name for name in artifacts(store, run_id, "images") if "compressed" not in name]) == 2

    assert data.params["model"] == "VAE"
    assert data.params["model/network/hidden"] == "[16]"
    assert data.params["data/rows/fit"] == "200"
    assert {"mlflow.source.git.commit", "git.dirty"} <= set(data.tags) or not (ROOT / ".git").exists()
    inputs = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    counts = {context: json.loads(dataset.profile)["num_rows"] for context, dataset in inputs.items()}
    assert counts == {"train": 200, "validation": 180, "test": 360}
    assert all(json.loads(d.profile)["digest"] == data.params["data/digest"] for d in inputs.values())

    for term in TERMS:
        assert [step for step, _ in history(store, run_id, term)] == [0, 1, 2]
    assert {*data.metrics} >= FIGURES
    figures = json.loads(Path("outputs", run_id, "figures.json").read_text())["figures"]
    assert {key: data.metrics[key] for key in FIGURES} == {key: figures[key] for key in FIGURES}

    (output,) = run.outputs.model_outputs
    assert store.get_logged_model(output.model_id).status == "READY"
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert model.predict(np.zeros((2, 1, 8, 8), np.float32)).shape == (2, 1, 8, 8)
    assert f"--config runs:/{run_id}/config.yaml" in out


def test_what_is_drawn_and_printed_is_what_the_store_has(train, store, runs):
    answer = train("--trainer.max_epochs", 2)
    (run,) = runs()
    kept = torch.load(Path("outputs", run.info.run_id, "checkpoints", "last.ckpt"), weights_only=True)
    curves = kept["callbacks"]["History"]["figures"]
    for term in TERMS:
        assert curves[term] == history(store, run.info.run_id, term)
    first = [dict(history(store, run.info.run_id, key))[0] for key in ("train/loss", "val/loss")]
    assert f"epoch 1/2  train/loss {first[0]:.5g}  val/loss {first[1]:.5g}" in answer.out


def test_its_config_repeats_it(train, store, runs, capsys):
    measured = ("--evaluation.nll_samples", 5, "--evaluation.probe_rows", 100)
    assert train(*measured, "--data.binarize", "dynamic").code == 0
    (first,) = runs()
    again = train("--config", f"runs:/{first.info.run_id}/config.yaml", "--tracking.output_dir", "again")
    assert again.code == 0, again.err
    second = next(r for r in runs() if r.info.run_id != first.info.run_id)
    kept = {key: value for key, value in first.data.metrics.items() if not key.startswith("system/")}
    assert kept == {key: value for key, value in second.data.metrics.items() if not key.startswith("system/")}
    configs = [
        yaml.safe_load(Path(folder, r.info.run_id, "config.yaml").read_text())
        for folder, r in (("outputs", first), ("again", second))
    ]
    configs[0]["tracking"]["output_dir"] = "again"
    assert configs[0] == configs[1]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_through_mlflow_run(store, runs, workspace, recipe):
    project = workspace / "project"
    ignored = shutil.ignore_patterns(".git", ".*", "outputs", "mlruns", "*.db", "__pycache__", "results")
    shutil.copytree(ROOT, project, ignore=ignored)
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # where its own python is

    def mlflow_run(*parameters: str) -> subprocess.CompletedProcess:
        options = [word for parameter in parameters for word in ("-P", parameter)]
        mlflow = [sys.executable, "-m", "mlflow", "run", str(project), "--env-manager", "local", *options]
        return subprocess.run(mlflow, env=env, capture_output=True, text=True, timeout=300)

    done = mlflow_run(f"config={recipe}", "trainer.max_epochs=2", "model.latent_dim=4")
    assert done.returncode == 0, done.stderr
    (first,) = runs()
    assert first.info.status == "FINISHED"
    assert (first.data.params["model/latent_dim"], first.data.params["trainer/max_epochs"]) == ("4", "2")
    assert len(first.outputs.model_outputs) == 1

    again = mlflow_run(f"config=runs:/{first.info.run_id}/config.yaml")
    assert again.returncode == 0, again.stderr
    assert len(runs()) == 2
    assert runs()[0].data.metrics["test/loss"] == first.data.metrics["test/loss"]

    for mistake in ("model=VEA", "model.latent_dim=0"):
        assert mlflow_run(mistake).returncode != 0
        assert runs()[0].info.status == "FAILED"
        assert "lit_ae.reason" in runs()[0].data.tags
    assert len(runs()) == 4


def test_help_names_every_part(capsys):
    with pytest.raises(SystemExit) as end:
        run(command, ["--help"])
    page = capsys.readouterr().out
    assert end.value.code == 0
    assert all(word in page for word in ("VAE", "Digits", "Conv", "--recipe", "--resume", "vae_digits"))


class Falling:
    """A trainer's side of early stopping: a validation objective that falls and then stays."""

    def __init__(self, module: LitAutoencoder):
        self.lightning_module, self.strategy = module, self
        self.should_stop = self.fast_dev_run = False
        self.callback_metrics: dict[str, torch.Tensor] = {}

    def reduce_boolean_decision(self, decision: bool, all: bool) -> bool:
        return decision

    def epochs(self, stopping: EarlyStopping, losses: list[float]) -> int:
        for self.current_epoch, loss in enumerate(losses):
            self.callback_metrics["val/loss"] = torch.tensor(loss)
            stopping._run_early_stopping_check(self)
            if self.should_stop:
                break
        return self.current_epoch + 1


@pytest.mark.parametrize(("warmup", "epochs"), [(0, 3), (2, 4), (6, 8)])
def test_early_stopping_waits_for_the_warm_up(warmup, epochs):
    model = VAE(Digits().spec, beta=LinearWarmup(1.0, warmup) if warmup else 1.0)
    assert Falling(model).epochs(StopEarly(patience=2), [1.0] * 20) == epochs
