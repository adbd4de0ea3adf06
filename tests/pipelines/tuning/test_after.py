"""A whole study through its command: pictures, the chosen trial on fit + tune, and the challenger."""

import csv
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from data import Digits
from pipelines.tuning.trial import PARENT_TAG, TRIAL_TAG


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_from_the_first_trial_to_the_challenger(written, tuning, store, runs):
    words = ("--study", written(trials=3, final_seeds=2, register="digits", pruner="median"))
    for _ in range(2):  # the second time there is nothing left to do
        command = tuning(*words)
        out, err = command.communicate(timeout=1000)
        assert command.returncode == 0, err
        assert "Traceback" not in err
    (parent,) = [run for run in runs() if PARENT_TAG not in run.data.tags]
    assert parent.info.status == "FINISHED"
    kept = {Path(file.path).name for file in store.list_artifacts(parent.info.run_id, "study")}
    assert {"study.yaml", "summary.md", "trials.csv", "history.png", "slice.png", "importances.png"} <= kept
    assert any(name.startswith("contour_") for name in kept)
    with Path(f"outputs/{parent.info.run_id}/study/trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    best = min((row for row in rows if row["state"] == "COMPLETE"), key=lambda row: float(row["val/loss"]))
    finals = [run for run in runs() if "on fit + tune" in run.info.run_name]
    assert [run.info.status for run in finals] == ["FINISHED"] * 2
    assert {run.data.params["seed_everything"] for run in finals} == {"0", "1"}
    for run in finals:
        assert run.data.tags[PARENT_TAG] == parent.info.run_id
        assert run.data.tags[TRIAL_TAG] == best["trial"] == parent.data.tags["lit_ae.chosen_trial"]
        assert run.data.params["model/latent_dim"] == best["model.latent_dim"]
        assert run.data.params["data/rows/fit"] == str(200 + 180)
        assert "test/mse" in run.data.metrics
    mean = sum(run.data.metrics["test/mse"] for run in finals) / 2
    assert parent.data.metrics["chosen/test/mse"] == pytest.approx(mean)
    assert parent.data.metrics["best/val/loss"] == pytest.approx(float(best["val/loss"]))
    version = MlflowClient().get_model_version_by_alias("digits", "challenger")
    first = next(run for run in finals if run.data.params["seed_everything"] == "0")
    assert version.run_id == first.info.run_id
    assert "3/3" in out


def test_fit_on_tune_adds_the_tuning_rows_alone():
    plain, both = Digits(fit_rows=50), Digits(fit_rows=50, fit_on_tune=True)
    assert both.split_sizes == {"fit": 230, "tune": 180, "test": 360}
    assert torch.equal(both.rows["fit"].raw[:50], plain.rows["fit"].raw)
    assert torch.equal(both.rows["fit"].raw[50:], plain.rows["tune"].raw)
    assert torch.equal(both.rows["fit"].y[50:], plain.rows["tune"].y)
    assert torch.equal(both.rows["test"].raw, plain.rows["test"].raw)
    assert both.digest != plain.digest
