"""What happens to rows of a trained model, and what is made of it: the scenarios that the rule is there for."""

import numpy as np
import pytest
import torch

from lit_ae.errors import UserError
from lit_ae.monitoring.decision import decide
from lit_ae.monitoring.profile import Profile, Seen
from lit_ae.monitoring.renewal import lowest_threshold, recalibrate
from lit_ae.monitoring.watch import Watch


def test_stationary_rows_do_not_ring(watched, look):
    found = look(watched.normal)
    decision = decide(found.evidence)
    assert (decision.state, decision.action) == ("stationary", "nothing")
    assert found.changes == []
    assert found.alarms.p_more > 0.05


def test_more_anomalies_are_no_reason_to_touch_the_model(watched, look):
    test = watched.data.rows["test"]
    found = look(torch.cat([watched.normal, test.raw]))
    decision = decide(found.evidence)
    assert (decision.state, decision.action) == ("more anomalies", "nothing")
    assert found.alarms.rate > 0.1
    assert "service" in found.evidence.unseen_anywhere
    assert any("if they are normal, retrain" in reason for reason in decision.reasons)


def test_scores_that_move_alone_ask_for_a_threshold(watched):
    calibration, watch = watched.detector.calibration, Watch(watched.profile, has_features=False)
    chosen = torch.randint(len(calibration.scores), (1500,), generator=torch.Generator().manual_seed(0))
    scores = calibration.scores[chosen]
    scores[500:] = scores[500:] * 1.1 + 0.8 * scores.std()
    watch.add(calibration.p_values(scores).numpy(), (scores > watched.detector.threshold).numpy())
    found = watch.findings()
    decision = decide(found.evidence)
    assert (decision.state, decision.action) == ("the world moved", "recalibrate")
    assert 0.4 < found.evidence.middle < 1.2
    assert 500 <= found.changes[0].row <= 800


def test_a_feature_that_moves_is_named(watched, look):
    moved = watched.normal.clone()
    names = watched.data.spec.schema.names
    place = names.index("src_bytes")
    moved[:, place] = moved[:, place] * 30 + 100
    found = look(torch.cat([watched.normal, moved]))
    decision = decide(found.evidence)
    assert (decision.state, decision.action) == ("the world moved", "adapt")
    assert [one.name for one in found.evidence.moved] == ["src_bytes"]
    assert found.since >= len(moved)
    assert 0 <= found.changes[0].row - len(moved) <= 300


def test_a_new_category_asks_for_a_new_vocabulary(watched, look):
    moved = watched.normal.clone()
    columns = watched.data.spec.schema.columns
    place = watched.data.spec.schema.names.index("service")
    moved[::10, place] = len(columns[place].categories)
    decision = decide(look(moved).evidence)
    assert (decision.state, decision.action) == ("the schema changed", "retrain")
    assert "% of the rows without alarm" in decision.reasons[0]


def test_a_column_that_is_gone_asks_for_a_training(watched):
    watch = Watch(watched.profile)
    watch.add(np.full(50, np.nan), np.zeros(50, dtype=bool), None)
    decision = decide(watch.findings(("the column 'duration' is gone",)).evidence)
    assert (decision.action, decision.reasons) == ("retrain", ("the column 'duration' is gone",))


def test_false_alarms_of_the_whole_rule_are_rare(watched):
    """Calibration, ranks and tests together: 200 looks of 500 rows each, drawn from the law of the calibration."""
    scores, alarming = watched.detector.calibration, watched.detector.threshold
    rang = 0
    for seed in range(200):
        chosen = torch.randint(len(scores.scores), (500,), generator=torch.Generator().manual_seed(seed))
        watch = Watch(watched.profile, has_features=False)
        drawn_scores = scores.scores[chosen]
        watch.add(scores.p_values(drawn_scores).numpy(), (drawn_scores > alarming).numpy())
        rang += decide(watch.findings().evidence).action != "nothing"
    assert rang <= 2


def test_a_profile_is_kept_whole(watched):
    again = Profile.restore(*watched.profile.state())
    assert again.promise == watched.profile.promise
    for ours, theirs in zip(watched.profile.features, again.features, strict=True):
        assert (ours.name, ours.kind, ours.labels, ours.rows) == (theirs.name, theirs.kind, theirs.labels, theirs.rows)
        assert np.array_equal(ours.shares, theirs.shares)
    assert np.array_equal(again.ranks.p_values, watched.profile.ranks.p_values)
    assert sum(tensor.numel() for tensor in watched.profile.state()[1].values()) < 300_000


def test_the_profile_has_not_seen_the_test_rows(watched):
    for place, feature in enumerate(watched.profile.features):
        both = torch.cat([watched.data.rows[role].raw[:, place] for role in ("fit", "calibrate")])
        assert feature.rows == len(both)
        assert feature.distance(feature.count(both.numpy())[:-1]) == pytest.approx(0.0, abs=1e-9)


def copy_of(watched):
    detector = watched.detector
    return type(detector).restore([watched.detector.model], detector.state())


def test_recalibration_follows_rows_that_score_higher(watched):
    detector, x = copy_of(watched), watched.data.split("calibrate").x
    moved = Seen(x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), x)
    renewed = recalibrate(detector, moved)
    assert renewed.alarms_before > 0.03
    assert renewed.threshold == renewed.asked > renewed.before
    assert renewed.alarms <= 0.02
    assert not renewed.is_bounded


def test_rows_that_are_too_good_do_not_make_the_model_cry_wolf(watched):
    detector, x = copy_of(watched), watched.data.split("fit").x
    calm = x[watched.detector.score(x).argsort()[: len(x) // 3]]
    lowest = lowest_threshold(detector, detector.settings)
    renewed = recalibrate(detector, Seen(calm, calm))
    assert renewed.is_bounded
    assert renewed.threshold == lowest < renewed.before
    realised = float((watched.detector.calibration.scores > renewed.threshold).double().mean())
    assert realised <= watched.profile.promise.interval[1]


@pytest.mark.parametrize(
    ("rows", "scale", "sentence"),
    [(3, 1.0, "give 49 confirmed normal rows or more"), (400, 30.0, "adapt or retrain the model")],
)
def test_what_no_threshold_can_mend_is_refused(watched, rows, scale, sentence):
    x = watched.data.split("calibrate").x[:rows] * scale
    with pytest.raises(UserError, match=sentence):
        recalibrate(copy_of(watched), Seen(x, x))
