"""A detector's laws: one score for one row, worse for what is farther out, and reasons that name the cause."""

import json
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from lit_ae.detection.detector import Detector, State
from lit_ae.detection.explanation import hit_rate
from lit_ae.detection.hull import Hull
from lit_ae.detection.scale import SPAN
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from lit_ae.networks import Recurrent
from lit_ae.variants import VAE, AdversarialAutoencoder
from tests.detection.conftest import FEATURES, make, sensors, spec_of, trained, windows

MANY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def through_disk(detector: Detector, **changed: float) -> Detector:
    plain, tensors = detector.state()
    plain = {**plain, "settings": {**plain["settings"], **changed}}
    models = [witness.model for witness in detector.witnesses]
    return Detector.restore(models, State(json.loads(json.dumps(plain)), load(save(tensors))))


def test_scoring_twice_and_after_saving_gives_the_same_bits(case):
    first, again = case.detector.judge(case.normal), case.detector.judge(case.normal)
    restored = through_disk(case.detector)
    for one, two, three in zip(first, again, restored.judge(case.normal), strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
    assert restored.thresholds() == case.detector.thresholds()
    assert restored.notes == case.detector.notes


@MANY
@given(st.data())
def test_a_row_scores_the_same_bits_whatever_stands_beside_it(table, data):
    rows = table.normal
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    pieces = [rows[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    whole = table.detector.score(rows)
    assert torch.equal(torch.cat([table.detector.score(piece) for piece in pieces]), whole)
    assert torch.equal(table.detector.score(rows[order]), whole[order])
    p = table.detector.calibration.p_values(whole)
    assert torch.equal(table.detector.calibration.p_values(whole[order]), p[order])


@pytest.mark.parametrize("margin", [0.25, 1.0])
@MANY
@given(seed=st.integers(0, 10_000), factor=st.floats(10, 1e6), sign=st.sampled_from([1, -1]))
def test_ten_times_as_far_is_never_better(case, margin, seed, factor, sign):
    detector = through_disk(case.detector, margin=margin)
    draw = sensors if case.normal.dim() == 2 else windows
    rows = draw(64, seed)
    assert (detector.score(sign * factor * rows) >= detector.score(rows)).all()


def test_a_reading_beyond_the_margin_counts_as_if_it_were_there(table):
    detector, hull = through_disk(table.detector, margin=0.5), table.detector.hull
    there, beyond = table.normal[:16].clone(), table.normal[:16].clone()
    there[:, 1], beyond[:, 1] = hull.high[1] + 0.5 * hull.width[1], hull.high[1] + 0.6 * hull.width[1]
    near, far = detector.channels(there), detector.channels(beyond)
    for name in near.keys() - {"range"}:
        torch.testing.assert_close(far[name], near[name])
    assert (far["range"] > near["range"]).all()
    assert (detector.score(beyond) >= detector.score(there)).all()


@MANY
@given(seed=st.integers(0, 10_000), far=st.floats(1, 1e30))
def test_ten_times_as_far_is_never_better_for_rows_that_are_outside_already(table, seed, far):
    generator = torch.Generator().manual_seed(seed)
    hull = table.detector.hull
    rows = table.normal[:64].clone()
    feature = int(torch.randint(FEATURES, (), generator=generator))
    rows[:, feature] = hull.high[feature] + far * hull.width[feature]
    near, wide = table.detector.score(rows), table.detector.score(10 * rows)
    assert wide.isfinite().all()
    assert (wide >= near).all()


def test_the_range_guard_reaches_the_span_of_scores_ten_widths_outside():
    hull = Hull.of(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    x = torch.tensor([[0.5, 0.0], [3.0, 0.0], [5.0, 0.0], [21.0, 0.0], [0.0, -20.0]])
    assert hull.excess(x).amax(1).tolist() == [0, 1, 2, 10, 10]
    guarded = hull.guarded(torch.full((5,), -2.0, dtype=torch.float64), x, SPAN, 1.0)
    torch.testing.assert_close(
        guarded, torch.tensor([-2.0, -2.0, SPAN * 0.30103, SPAN, SPAN]).double(), atol=1e-4, rtol=0
    )


def test_rows_that_are_not_finite_are_not_scored(case):
    rows = case.normal[:4].clone()
    rows[1].view(-1)[0], rows[3].view(-1)[1] = torch.nan, torch.inf
    judged = case.detector.judge(rows)
    assert judged.is_scored.tolist() == [True, False, True, False]
    assert judged.score.isnan().tolist() == judged.p_value.isnan().tolist() == [False, True, False, True]
    assert not judged.is_anomaly[1]
    assert not judged.is_anomaly[3]
    assert torch.equal(judged.score[::2], case.detector.score(case.normal[:4])[::2])


def test_no_rows_get_no_scores(case):
    assert case.detector.judge(case.normal[:0]).score.shape == (0,)


def test_spiked_sensors_are_found_and_named(table):
    rows, truly = table.normal.clone(), torch.zeros(table.normal.shape, dtype=torch.bool)
    truly[:, [2, 5]] = True
    rows[truly] += 4 * sensors(4000, 9).std()
    judged = table.detector.judge(rows)
    assert judged.is_anomaly.double().mean() > 0.99
    found = table.detector.explain(rows, judged.is_anomaly.nonzero().flatten())
    assert hit_rate(found.share, truly[found.rows]).mean() > 0.9
    torch.testing.assert_close(found.share.sum(1), torch.ones(len(found.rows)).double())
    assert (found.residual[:, 2] > 0).double().mean() > 0.95
    reason = found.reasons(top=2)[0]
    assert f"feature 2 is {float(found.raw[0, 2]):.4g}" in reason
    assert f" and not {float(found.expected[0, 5]):.4g} ({float(found.share[0, 5]):.0%})" in reason


def test_an_explanation_shows_the_expected_row_and_the_nearest_training_rows(table):
    rows = torch.tensor([3, 8])
    found = table.detector.explain(table.normal, rows)
    way = table.detector.model.spec.preprocessing
    torch.testing.assert_close(way.apply(found.expected), table.normal[rows] - found.residual)
    assert found.residual.abs().mean() < 0.5
    torch.testing.assert_close(found.nearest_raw, way.invert(sensors(2000, 0)[found.nearest]))
    assert found.nearest.shape == (2, 5)


def test_a_value_that_training_never_saw_is_said_to_be_so(table):
    rows = table.normal[:1].clone()
    rows[0, 4] = 100.0
    found = table.detector.explain(rows, torch.tensor([0]))
    assert found.outside[0].nonzero().flatten().tolist() == [4]
    assert "feature 4 is 1000, beyond what training has seen, and not" in found.reasons()[0]


def test_a_windows_score_is_that_of_its_own_rows(series):
    later = series.normal.clone()
    later[500:] += 100.0
    assert torch.equal(series.detector.score(later)[:500], series.detector.score(series.normal)[:500])


def test_a_shift_of_the_level_is_seen_by_the_score_of_that_name(series):
    shifted = series.normal + 1.5
    normal, bad = (series.detector.channels(x)["level_shift"] for x in (series.normal, shifted))
    assert (bad > normal).double().mean() > 0.85


def test_every_score_of_a_variant_is_there():
    wanted = {
        "reconstruction_error",
        "residual",
        "top_features",
        "imputed_features",
        "log_probability",
        "mahalanobis",
        "neighbours",
    }
    asked = DetectionSettings(alpha=0.05, draws=20, bank_size=50)
    adversarial = make("table", asked, AdversarialAutoencoder)
    assert set(adversarial.detector.channels(adversarial.normal)) == wanted | {"discriminator", "range"}
    variational = make("table", asked, VAE)
    found = variational.detector.channels(variational.normal)
    assert set(found) == wanted | {"range"}
    model, x = variational.detector.model, variational.normal[:50]
    with torch.no_grad():
        torch.manual_seed(1)
        latent = model.posterior(x)
        z = latent.sample(4000)
        weights = model.log_likelihood(x, z) + model.prior.log_prob(z) - latent.log_prob(z)
    exact = -(weights.logsumexp(0) - torch.tensor(4000.0).log())
    assert (found["log_probability"][:50] - exact).abs().mean() < 0.5


def test_the_score_that_is_asked_for_is_the_one_that_is_used():
    made = make("table", DetectionSettings(alpha=0.05, scores=["mahalanobis"], bank_size=50))
    assert made.detector.chosen == ["mahalanobis"]
    distances = made.detector.channels(made.normal)["mahalanobis"]
    assert torch.equal(made.detector.score(made.normal).argsort(stable=True), distances.argsort(stable=True))


def test_a_score_that_the_model_does_not_have_is_refused():
    with pytest.raises(UserError, match="discriminator, which this model on this data does not have: it has recon"):
        make("table", DetectionSettings(scores=["discriminator"]))


def test_tokens_are_scored_without_residuals():
    from lit_ae.likelihoods import Categorical

    generator = torch.Generator().manual_seed(0)
    spec = spec_of("sequence", (10,))
    spec.vocabulary, spec.value_range = tuple("abcd"), (0, 3)
    tokens = (torch.arange(10) + torch.randint(4, (900, 1), generator=generator)).remainder(4).float()
    model = VAE(spec, latent_dim=2, network=partial(Recurrent, hidden=16), likelihood=Categorical)
    asked = DetectionSettings(alpha=0.05, bank_size=100)
    detector = Detector.fit(trained(model, tokens), tokens[:500], tokens[500:700], tokens[700:], asked)
    assert set(detector.channels(tokens)) == {"log_probability", "mahalanobis", "neighbours"}
    wrong = torch.randint(4, (100, 10), generator=generator).float()
    assert detector.score(wrong).median() > detector.score(tokens).median()
