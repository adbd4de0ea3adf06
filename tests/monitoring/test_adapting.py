"""Training on: what is replayed, what stays as it was, and that schedules are not begun again."""

from functools import partial

import pytest
import torch

from lit_ae.errors import UserError
from lit_ae.module import LitAutoencoder
from lit_ae.monitoring.profile import Seen
from lit_ae.networks import MLP
from lit_ae.schedules import LinearWarmup
from lit_ae.variants import VAE
from pipelines.adapt import Schooling
from pipelines.monitoring.adapting import Replayed, by_role


def recent_of(watched, rows: int, entity: bool = False) -> Seen:
    raw = watched.normal[:rows]
    series = torch.zeros(rows, dtype=torch.int64) if entity else None
    return Seen(watched.data.spec.preprocessing.apply(raw), raw, series)


def test_recent_rows_are_shared_out_and_the_test_stays_as_it_was(watched):
    recent = by_role(recent_of(watched, 200), "recent.csv")
    assert {role: len(rows.raw) for role, rows in recent.items()} == {"fit": 120, "tune": 40, "calibrate": 40}
    data = Replayed(watched.data, recent, Schooling(replay=3))
    sizes = watched.data.split_sizes
    assert data.split_sizes == {"fit": sizes["fit"] + 120, "tune": sizes["tune"] + 40,
                                "calibrate": sizes["calibrate"] + 40, "test": sizes["test"]}  # fmt: skip
    assert data.digest == watched.data.digest
    assert torch.equal(data.split("test").x, watched.data.split("test").x)
    training = data.training_split().x
    assert len(training) == 4 * 120
    assert torch.equal(training[-120:], watched.data.spec.preprocessing.apply(recent["fit"].raw))
    own = {tuple(row) for row in watched.data.split("fit").x.tolist()}
    assert all(tuple(row) in own for row in training[:-120].tolist())


def test_a_series_is_shared_out_in_time_order(watched):
    recent = by_role(recent_of(watched, 150, entity=True), "recent.csv")
    assert torch.equal(torch.cat([recent[role].raw for role in ("fit", "tune", "calibrate")]), watched.normal[:150])


def test_a_hundred_rows_are_too_few(watched):
    with pytest.raises(UserError, match=r"gives 100 rows, and adapting needs more than 100"):
        by_role(recent_of(watched, 100), "recent.csv")


def test_a_training_that_goes_on_is_slow_and_past_every_warm_up(watched):
    beta = LinearWarmup(final=2.0, epochs=5)
    model: LitAutoencoder = VAE(watched.data.spec, latent_dim=2, network=partial(MLP, hidden=[4]), beta=beta)
    with pytest.raises(UserError):
        model.check_schedules(1)
    model.continue_training(0.1)
    model.check_schedules(1)
    assert beta.at(model._epochs_before) == 2.0
    assert model._optimizer(model.parameters()).param_groups[0]["lr"] == pytest.approx(1e-4)
