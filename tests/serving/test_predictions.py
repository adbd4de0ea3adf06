"""The packed model's figures: those of the model in memory, in the user's own units, whatever stands beside a row."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from tests.serving.conftest import raw_rows

OUTPUTS = ("reconstruction", "latent", "error")


def ask(model, raw, **params):
    return model.predict(raw, params=params)


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_figures_equal_those_of_the_model_in_memory(packed, count):
    raw = raw_rows(packed.model, count)
    for output, expected in packed.in_memory(raw).items():
        given = ask(packed.loaded, raw, output=output)
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, expected, rtol=1e-6, atol=1e-6 * max(1.0, abs(expected).max(initial=0)))


def test_the_reconstruction_is_what_comes_back_unasked(vae):
    raw = raw_rows(vae.model, 4)
    assert np.array_equal(vae.loaded.predict(raw), ask(vae.loaded, raw, output="reconstruction"))


def test_the_same_question_gets_the_same_answer_bit_for_bit(packed):
    raw = raw_rows(packed.model, 20)
    outputs = (*OUTPUTS, "sample") if packed.model.prior else OUTPUTS
    first, second = packed.loaded, packed.loaded
    for output in outputs:
        assert np.array_equal(ask(first, raw, output=output), ask(first, raw, output=output))
        assert np.array_equal(ask(first, raw, output=output), ask(second, raw, output=output))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, 39), size=st.integers(1, 40))
def test_a_row_is_answered_alike_in_any_company(vae, row, size):
    raw = raw_rows(vae.model, 40)
    start = max(0, min(row, 40 - size))
    for output in OUTPUTS:
        among_others = ask(vae.loaded, raw[start : start + size], output=output)[row - start : row - start + 1]
        alone = ask(vae.loaded, raw[row : row + 1], output=output)
        assert np.abs(among_others - alone[: len(among_others)]).max(initial=0) <= 1e-6 * max(1.0, np.abs(alone).max())


def test_loading_and_prediction_leave_the_input_and_the_random_state_alone(vae):
    raw = raw_rows(vae.model, 4)
    before, state = raw.copy(), torch.get_rng_state()
    for output in (*OUTPUTS, "sample"):
        ask(vae.loaded, raw, output=output)
    assert np.array_equal(raw, before)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("name", "white"), [("vae", 16), ("binary_vae", 255)])
def test_bounded_outputs_lie_in_the_users_own_units(name, white, request):
    packed = request.getfixturevalue(name)
    raw = raw_rows(packed.model, 50)
    for output in ("reconstruction", "sample"):
        images = ask(packed.loaded, raw, output=output)
        assert images.min() >= 0
        assert white / 4 < images.max() <= white


def test_a_threshold_is_applied_to_the_users_grey_levels(binary_vae):
    grey = raw_rows(binary_vae.model, 10)
    black_and_white = np.where(grey >= 127.5, 255, 0).astype(np.float32)
    assert np.array_equal(
        ask(binary_vae.loaded, grey, output="error"), ask(binary_vae.loaded, black_and_white, output="error")
    )
    assert not np.array_equal(grey, black_and_white)


def test_samples_follow_their_seed(vae):
    raw = raw_rows(vae.model, 5)
    first, again, other = (ask(vae.loaded, raw, output="sample", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)
    assert len(np.unique(first, axis=0)) == 5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_named(vae, value):
    raw = raw_rows(vae.model, 5)
    raw[3, 0, 2, 2] = value
    with pytest.raises(MlflowException, match="Every value must be finite, and row 3 holds NaN or an infinite one"):
        ask(vae.loaded, raw)


def test_a_model_without_prior_refuses_to_sample(autoencoder):
    with pytest.raises(MlflowException, match="Autoencoder has no prior to sample from: ask for another output"):
        ask(autoencoder.loaded, raw_rows(autoencoder.model, 1), output="sample")


@pytest.mark.parametrize("params", [{"output": "latents"}, {"output": "_load"}, {"seed": -1, "output": "sample"}])
def test_parameters_that_make_no_sense_are_refused_by_name(vae, params):
    name = "seed" if "seed" in params else "output"
    with pytest.raises(MlflowException, match=f"^{name} must") as refused:
        ask(vae.loaded, raw_rows(vae.model, 1), **params)
    assert refused.value.get_http_status_code() == 400
