import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_ae.errors import UserError
from lit_ae.schedules import Constant, Cyclical, LinearWarmup, Schedule

finals = st.floats(0, 100)
lengths = st.floats(0.1, 50)
moments = st.floats(0, 1000)


@given(finals, lengths, moments)
def test_linear_warmup_rises_from_zero_to_final_and_stays(final, epochs, moment):
    schedule = LinearWarmup(final, epochs)
    assert schedule.at(0) == 0
    assert schedule.at(epochs / 2) == pytest.approx(final / 2)
    assert schedule.at(epochs + moment) == final
    assert schedule.at(moment) <= schedule.at(moment + 1)


@given(finals, lengths, st.integers(1, 9), st.floats(0.1, 1), moments)
def test_cyclical_starts_each_cycle_at_zero_and_ends_at_final(final, period, cycles, rise, moment):
    schedule = Cyclical(final, period, cycles, rise)
    assert schedule.at(0) == 0
    assert schedule.at(period * rise / 2) == pytest.approx(final / 2, rel=1e-6)
    assert schedule.at(schedule.length + moment) == final
    assert 0 <= schedule.at(moment) <= final


def test_numbers_become_constants():
    assert isinstance(Schedule.of(0.25), Constant)
    assert Schedule.of(0.25).at(17) == 0.25
    assert Schedule.of(0.25).length == 0


@pytest.mark.parametrize("wrong", [lambda: LinearWarmup(1, 0), lambda: Cyclical(1, 0), lambda: Cyclical(1, 5, 0)])
def test_an_empty_schedule_is_refused(wrong):
    with pytest.raises(UserError):
        wrong()
