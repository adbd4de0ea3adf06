"""The report of a detector: what is in it, that it is honest, and that its pictures can be looked at."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from data.roles import Rows
from pipelines import detection_pictures as pictures
from pipelines.detection_page import markdown
from pipelines.judging.anomalies import Labels, Said, detection_figures, protocol_of
from pipelines.judging.baselines import calibrated, classical, trivial
from pipelines.options import Evaluation

ASKED = Evaluation(bootstrap=50, longest_buffer=10)
GENERATOR = np.random.default_rng(0)
ANOMALY = np.repeat([False, True, False, True], [200, 50, 120, 30])
TABLE = Labels(ANOMALY, np.repeat([0, 1, 0, 2], [200, 50, 120, 30]), ("normal", "dos", "probe", "never seen"))
SERIES = Labels(ANOMALY, entity=np.repeat([0, 1], [200, 200]), rows_per_day=100.0)
SAID = Said(GENERATOR.normal(size=400) + 2 * ANOMALY, threshold=1.5)
SAID = Said(SAID.score, SAID.score > 1.5, 1.5)


def test_a_table_has_ranking_alarms_and_families():
    figures = detection_figures(SAID, TABLE, ASKED)
    assert figures["base_rate"] == 0.2
    assert figures["auroc"] == roc_auc_score(ANOMALY, SAID.score)
    assert figures["ap_low"] < figures["ap"] == average_precision_score(ANOMALY, SAID.score) < figures["ap_high"]
    assert figures["f1"] == f1_score(ANOMALY, SAID.alarm)
    assert figures["false_alarm_rate"] == SAID.alarm[~ANOMALY].mean()
    assert figures["family/dos/recall"] == SAID.alarm[200:250].mean()
    assert not any("never seen" in key or "normal" in key or "vus" in key for key in figures)


def test_a_series_has_events_and_oracles_under_their_names():
    figures = detection_figures(SAID, SERIES, ASKED)
    assert {"vus_pr", "event_recall", "detection_delay", "alarms_per_day", "oracle_point_adjusted_f1"} <= set(figures)
    flattering = {key for key in figures if figures[key] > figures["f1"] and "f1" in key}
    assert flattering == {"oracle_best_f1", "oracle_point_adjusted_f1"}
    assert set(protocol_of(SERIES, ASKED)) > set(protocol_of(TABLE, ASKED))


def test_where_all_rows_are_normal_only_what_makes_sense_is_there():
    figures = detection_figures(SAID, Labels(np.zeros(400, bool)), ASKED)
    assert figures["base_rate"] == 0
    assert "false_alarm_rate" in figures
    assert not {"auroc", "ap", "oracle_best_f1"} & set(figures)


def test_labels_take_the_rows_clock_and_stretches():
    time = torch.arange(8).double() * 60 + 1.7e9
    rows = Rows(torch.zeros(8, 1), anomaly=torch.arange(8) > 5, entity=torch.arange(8) // 5, time=time)
    labels = Labels.of(rows, ())
    assert labels.rows_per_day == 1440
    assert labels.stretches(2).tolist() == [0, 0, 1, 1, 2, 3, 3, 4]
    assert Labels.of(rows._replace(time=torch.arange(8).double()), ()).rows_per_day is None
    assert Labels.of(Rows(torch.zeros(8, 1)), ()) is None
    assert labels.take(labels.anomaly).entity.tolist() == [1, 1]


def test_trivial_detectors_show_what_is_worth_nothing():
    found = {name: detection_figures(said, SERIES, ASKED) for name, said in trivial(SERIES, 0.05)}
    assert found["always_alarm"]["recall"] == found["always_alarm"]["false_alarm_rate"] == 1
    assert found["always_alarm"]["precision"] == found["always_alarm"]["ap"] == 0.2
    assert found["random"]["auroc"] == pytest.approx(0.5, abs=0.1)
    assert found["random"]["false_alarm_rate"] == pytest.approx(0.05, abs=0.03)
    assert found["random"]["oracle_point_adjusted_f1"] > 2 * found["random"]["oracle_best_f1"]
    place = np.concatenate([np.arange(200), np.arange(200)])
    assert found["time_index"]["auroc"] == roc_auc_score(ANOMALY, place)
    assert "precision" not in found["time_index"]


@pytest.mark.parametrize("alpha", [0.0, 0.004, 0.05, 0.5])
def test_calibrated_alarms_are_those_of_the_conformal_p_value(alpha):
    normal, score = GENERATOR.integers(0, 50, 120).astype(float), GENERATOR.integers(0, 60, 300).astype(float)
    p_value = [(1 + (normal >= one).sum()) / (len(normal) + 1) for one in score]
    assert (calibrated(normal, score, alpha).alarm == (np.array(p_value) <= alpha)).all()


def test_classical_detectors_are_what_they_are_called():
    x = torch.from_numpy(GENERATOR.normal(size=(900, 6)) @ GENERATOR.normal(size=(6, 6))).float()
    fit, calibrate, test = x[:400], x[400:600], torch.cat([x[600:], x[:100] + 4])
    said = dict(classical(fit, calibrate, test, 3, 0.05, 10_000))
    assert set(said) == {"pca", "mahalanobis", "knn", "isolation_forest"}
    nearest = np.sort(cdist(test, fit), axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(said["knn"].score, nearest, rtol=1e-3, atol=1e-3)
    distances = cdist(test, x.mean(0)[None], "mahalanobis", VI=np.linalg.inv(np.cov(fit.T)))[:, 0]
    assert np.corrcoef(said["mahalanobis"].score, distances**2)[0, 1] > 0.97
    anomaly = np.arange(400) >= 300
    assert all(roc_auc_score(anomaly, one.score) > 0.7 for name, one in said.items())
    assert all(one.alarm[:300].mean() < 0.15 for one in said.values())
    bounded = dict(classical(fit, calibrate, test, 3, 0.05, 50))
    assert not np.array_equal(bounded["knn"].score, said["knn"].score)


def test_the_page_holds_every_detector_and_family():
    asked = Evaluation(bootstrap=50, false_alarm_rates=[0.136, 0.01])
    figures = {name: detection_figures(one, TABLE, asked) for name, one in {"this model": SAID, **both()}.items()}
    page = markdown(figures, protocol_of(TABLE, ASKED), "VAE on flows")
    assert page.startswith("# VAE on flows\n\nBase rate of anomalies: 0.2000\n")
    row = next(line for line in page.splitlines() if line.startswith("| this model"))
    assert f"| {figures['this model']['auroc']:.4f} |" in row
    assert f"({figures['this model']['ap_low']:.4f} to" in row
    assert "| dos | 50 |" in page
    assert "| always_alarm |" in page
    assert "| AUROC | AP (95 %) | recall at 1 % | recall at 13.6 % | precision |" in page
    assert len({line.count("|") for line in page.splitlines() if line.startswith("| always")}) == 1


def both() -> dict[str, Said]:
    return dict(trivial(TABLE, 0.05))


def extreme() -> Said:
    score = np.full(400, 3.0)
    return Said(score, score > np.inf, np.inf)


@pytest.mark.parametrize(("labels", "said"), [(TABLE, SAID), (SERIES, extreme())], ids=["table", "constant score"])
def test_pictures_can_be_looked_at(labels, said, tmp_path):
    shown = {"this model": said, "random": both()["random"], "time_index": both()["time_index"]}
    drawn = [
        pictures.roc_curves(shown, labels, tmp_path / "roc.png", "t"),
        pictures.precision_recall_curves(shown, labels, tmp_path / "pr.png", "t"),
        pictures.score_histogram(said, labels, tmp_path / "scores.png", "t"),
        pictures.time_line(said, labels, tmp_path / "time_line.png", "t"),
        pictures.confusion(said, labels, tmp_path / "confusion.png", "t"),
    ]
    for path in drawn:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert 300 < image.width < 2600
            assert 200 < image.height < 2600
            assert np.ptp(np.asarray(image.convert("L"))) > 50
