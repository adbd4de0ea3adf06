"""The sensor readings: made up with a known best score, and SKAB's files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score

import data
from data.sensor_generator import CORRELATION, SENSORS, SPIKED, normal_readings, optimal_scores, spiked_readings
from lit_ae.errors import UserError


def test_the_generator_keeps_its_promises() -> None:
    rng = np.random.default_rng(1)
    correlations = np.corrcoef(normal_readings(20_000, rng).T)
    assert correlations[~np.eye(SENSORS, dtype=bool)] == pytest.approx(CORRELATION, abs=0.04)
    spikes = spiked_readings(5000, rng, 3, 6).mean(0)
    assert spikes[list(SPIKED)] == pytest.approx(4.5, abs=0.1)
    assert np.delete(spikes, SPIKED) == pytest.approx(0, abs=0.1)


def test_synthetic_sensors_are_what_the_article_printed() -> None:
    sensors = data.Sensors()
    assert sensors.split_sizes == {"fit": 8000, "tune": 1000, "calibrate": 1000, "test": 1200}
    assert sensors.spec.synthetic
    assert sensors.spec.shape == (50,)
    test = sensors.rows["test"]
    assert test.anomaly is not None
    assert int(test.anomaly.sum()) == 200
    assert sensors.families == ("normal", "spiked")
    assert test.raw[test.anomaly][:, sensors.spiked].mean().item() == pytest.approx(4.5, abs=0.2)
    assert sensors.digest == data.Sensors(batch_size=4).digest != data.Sensors(spikes=[1.0, 2.0]).digest


def test_the_best_score_is_the_ratio_of_the_densities() -> None:
    """Spikes are integrated out by brute force: many draws of them, in place of quadrature over the shared factor."""
    rng = np.random.default_rng(0)
    low, high = -0.1, 0.5
    readings = np.concatenate([normal_readings(5, rng), spiked_readings(5, rng, low, high)])
    density = multivariate_normal(cov=(1 - CORRELATION) * np.eye(SENSORS) + CORRELATION)
    moved = np.zeros((20_000, SENSORS))
    moved[:, SPIKED] = rng.uniform(low, high, (len(moved), len(SPIKED)))
    ratios = [np.exp(density.logpdf(row - moved) - density.logpdf(row)).mean() for row in readings]
    assert optimal_scores(readings, low, high) == pytest.approx(np.log(ratios), abs=0.05)


def test_the_ratio_has_mean_one_under_the_normal_readings() -> None:
    ratio = np.exp(optimal_scores(normal_readings(5_000, np.random.default_rng(3)), 0.0, 0.4))
    assert ratio.mean() == pytest.approx(1.0, abs=4 * ratio.std() / np.sqrt(len(ratio)))


@pytest.mark.parametrize("spikes", [[0.5, 2.0], [0.2, 1.0]])
def test_no_other_score_beats_it(spikes: list[float]) -> None:
    sensors = data.Sensors(spikes=spikes)
    test = sensors.rows["test"]
    best = sensors.optimal_scores(test)
    assert best is not None
    mahalanobis = EmpiricalCovariance().fit(sensors.rows["fit"].raw.numpy()).mahalanobis(test.raw.numpy())
    knows_where = test.raw[:, sensors.spiked].sum(1)
    for other in (mahalanobis, knows_where):
        assert roc_auc_score(test.anomaly, best) > roc_auc_score(test.anomaly, other)


def test_huge_readings_have_a_finite_score() -> None:
    scores = optimal_scores(np.full((2, SENSORS), [[1e3], [-1e3]]), 3, 6)
    assert np.isfinite(scores).all()


def test_only_synthetic_rows_have_a_known_best_score() -> None:
    sensors = data.Sensors(window=5)
    assert sensors.spec.shape == (5, 50)
    assert sensors.optimal_scores(sensors.rows["test"]) is None
    assert data.Digits().optimal_scores(data.Digits().rows["test"]) is None


@pytest.fixture
def skab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two files in the form of SKAB's, in place of its 34."""
    monkeypatch.setattr("data.sensors.SKAB_FILES", 2)
    rng = np.random.default_rng(0)
    for name in ("valve1/0", "other/12"):
        file = tmp_path / "SKAB" / "data" / f"{name}.csv"
        file.parent.mkdir(parents=True)
        when = pd.date_range("2020-03-09 10:14:33", periods=600, freq="s")
        readings = pd.DataFrame(rng.normal(size=(600, 2)), columns=["Current", "Volume Flow RateRMS"])
        labels = {"anomaly": (np.arange(600) >= 450).astype(float), "changepoint": 0.0}
        pd.concat([pd.Series(when, name="datetime"), readings.assign(**labels)], axis=1).to_csv(
            file, sep=";", index=False
        )
    (tmp_path / "SKAB" / "data" / "anomaly-free").mkdir()
    (tmp_path / "SKAB" / "data" / "anomaly-free" / "anomaly-free.csv").write_text("datetime;Current\n")
    return str(tmp_path)


@pytest.mark.parametrize("window", [1, 20])
def test_of_each_skab_file_every_row_from_400_on_is_tested(skab: str, window: int) -> None:
    sensors = data.Sensors(source="SKAB", root=skab, window=window)
    assert sensors.split_sizes["test"] == 2 * 200
    assert not sensors.spec.synthetic
    test = sensors.rows["test"]
    assert test.entity is not None
    assert test.anomaly is not None
    assert test.anomaly.view(2, 200).sum(1).tolist() == [150, 150]
    one = data.Sensors(source="SKAB", root=skab, window=window, file="valve1/0")
    assert one.split_sizes == {role: size // 2 for role, size in sensors.split_sizes.items()}
    assert one.rows["test"].raw.equal(test.raw[test.entity == 1])


@pytest.mark.parametrize(("file", "lacks"), [("valve1/9", "valve1/9.csv"), (None, "some of the 3 files")])
def test_what_skab_lacks_is_told(skab: str, file: str | None, lacks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.sensors.SKAB_FILES", 3)
    with pytest.raises(UserError, match=rf"SKAB/data lacks {lacks}.*: get the files from https://github\.com/waico"):
        data.Sensors(source="SKAB", root=skab, file=file).setup()


@pytest.mark.parametrize("spikes", [[3.0], [6.0, 3.0], [1.0, 1.0]])
def test_spikes_that_make_no_sense_are_refused(spikes: list[float]) -> None:
    with pytest.raises(UserError, match=r"^data\.spikes is "):
        data.Sensors(spikes=spikes)


def test_windows_of_sensors_reach_the_model_standardised() -> None:
    x = data.Sensors(window=3).split("fit").x
    assert x.shape == (8000 - 2, 3, 50)
    torch.testing.assert_close(x[:, -1].mean(0), torch.zeros(50), atol=0.01, rtol=0)
