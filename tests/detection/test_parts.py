"""The parts of a score: codes, residuals, scales, synthetic anomalies, and what is chosen by them."""

import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from lit_ae.detection.anomalies import KINDS, synthetic_anomalies
from lit_ae.detection.choice import choose
from lit_ae.detection.codes import BANK_NUMBERS, Bank, Cloud
from lit_ae.detection.residuals import Norms
from lit_ae.detection.scale import SPAN, LogZ, combined
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from tests.detection.conftest import sensors, spec_of, windows

SHAPES = {"table": (12,), "image": (1, 8, 8), "series": (8, 3), "sequence": (10,)}


def test_the_distance_is_that_of_ledoit_and_wolfs_covariance():
    rows = sensors(400, 0)
    fitted = LedoitWolf().fit(rows.double().numpy())
    expected = [mahalanobis(row, fitted.location_, fitted.precision_) for row in rows[:20].double().numpy()]
    torch.testing.assert_close(Cloud.of(rows).distance(rows[:20]), torch.tensor(expected).double())


def test_a_constant_code_has_a_finite_distance():
    rows = torch.cat([sensors(100, 0), torch.ones(100, 1)], 1)
    assert Cloud.of(rows).distance(rows).isfinite().all()


def test_neighbours_are_scikit_learns():
    known, asked = sensors(300, 0), sensors(20, 1)
    bank = Bank(known.double(), known, torch.arange(300))
    distances, places = bank.nearest(asked, 4)
    expected = NearestNeighbors(n_neighbors=4).fit(known.double().numpy()).kneighbors(asked.double().numpy())
    torch.testing.assert_close(distances, torch.from_numpy(expected[0]))
    assert torch.equal(places, torch.from_numpy(expected[1]))


def test_a_bank_stays_within_its_bounds():
    assert len(Bank.choose(10_000, 500, 20, seed=0)) == 500
    assert len(Bank.choose(30, 500, 20, seed=0)) == 30
    assert len(Bank.choose(10_000, 5000, BANK_NUMBERS // 100, seed=0)) == 100
    chosen = Bank.choose(10_000, 500, 20, seed=1)
    assert len(chosen.unique()) == 500


def test_a_feature_that_never_errs_still_has_a_unit():
    norms = Norms.of(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    assert norms.sigma[0] == pytest.approx(5**0.5)
    assert 0 < norms.sigma[1] < 1e-2 * norms.sigma[0]
    assert (norms.reach > 0).all()


def test_scores_of_normal_rows_come_to_one_scale():
    generator = torch.Generator().manual_seed(0)
    scores = {"residual": torch.rand(500, generator=generator).exp(), "log_probability": 40 * torch.randn(500)}
    table = LogZ.of(scores).apply(scores)
    torch.testing.assert_close(table.mean(0), torch.zeros(2).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(table.std(0), torch.ones(2).double())
    for column, values in enumerate(scores.values()):
        rising = table[values.argsort(), column]
        assert (rising.diff() >= 0).all()
    assert combined(torch.tensor([[1e9, 1e9], [-1e9, -1e9]])).tolist() == [SPAN, -SPAN]


@pytest.mark.parametrize("kind", KINDS)
def test_synthetic_anomalies_differ_from_the_rows_that_they_are_made_of(kind):
    shape = SHAPES[kind]
    normal = torch.rand(60, *shape, generator=torch.Generator().manual_seed(0))
    normal = (4 * normal).floor() if kind == "sequence" else normal
    made = synthetic_anomalies(spec_of(kind, shape), normal, seed=1)
    again = synthetic_anomalies(spec_of(kind, shape), normal, seed=1)
    assert made.keys() == KINDS[kind].keys()
    for name, bad in made.items():
        assert bad.shape == normal.shape
        assert torch.equal(bad, again[name])
        assert (bad != normal).flatten(1).any(1).double().mean() > 0.8


def test_damage_to_a_window_reaches_its_last_row():
    normal = windows(200, 0)
    for name in ("drifted", "restless"):
        bad = synthetic_anomalies(spec_of("series", normal.shape[1:]), normal, seed=0)[name]
        assert (bad[:, -1] != normal[:, -1]).any(1).all()


def test_the_scores_that_tell_anomalies_are_chosen_and_no_others():
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(1000, 3, generator=generator)
    bad = {kind: torch.randn(1000, 3, generator=generator) for kind in ("a", "b")}
    bad["a"][:, 0] += 2
    bad["b"][:, 1] += 2
    columns, reached = choose(normal, bad)
    assert columns == [0, 1]
    copies = {kind: rows[:, [0, 1, 2, 0]] for kind, rows in bad.items()}
    assert choose(normal[:, [0, 1, 2, 0]], copies)[0] == [0, 1]
    assert reached.keys() == {"a", "b"}
    assert min(reached.values()) > 0.8
    assert choose(normal, bad, fixed=True)[0] == [0, 1, 2]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"alpha": 0.0}, "alpha is 0, but it must lie between 0 and 1"),
        ({"alarms_per_day": 3}, "go together"),
        ({"alarms_per_day": 3, "rows_per_day": 2}, "alarms_per_day / rows_per_day is 1.5"),
        ({"rule": "guess"}, "rule is 'guess', but it must be one of conformal, fdr"),
        ({"scores": ["mse"]}, "names 'mse', but it must name some of reconstruction_error"),
        ({"scores": []}, "scores is empty"),
        ({"bank_size": 1}, "bank_size is 1, but it must be 10 or more"),
        ({"clip": 1.0}, "clip is 1.0, but it must be above 1"),
        ({"margin": 0.0}, "margin is 0.0, but it must be above 0 and at most 1"),
        ({"margin": float("nan")}, "margin is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        DetectionSettings(**wrong)


def test_alarms_a_day_are_a_budget():
    assert DetectionSettings(alarms_per_day=2, rows_per_day=86_400).budget == pytest.approx(2 / 86_400)
