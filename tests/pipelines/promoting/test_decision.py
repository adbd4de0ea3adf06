"""The decision is a pure function of evidence and policy, and it knows its own laws."""

from dataclasses import fields, replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.promoting.decision import decide
from pipelines.promoting.evidence import Alarms, Cost, Evidence, Outside, Paired
from pipelines.promoting.policy import CHALLENGER, FIRST, Latency, Policy, RecallFloor, Reproduces, Size, read_policy

shares = st.floats(0, 1)
positive = st.floats(1e-3, 1e3)


@st.composite
def pairs(draw) -> Paired:
    value, rival, width = draw(shares), draw(shares), draw(st.floats(0, 0.5))
    rising = draw(st.booleans())
    gain = value - rival if rising else rival - value
    return Paired("figure", value, rival, gain - width, gain + draw(st.floats(0, 0.5)), rising)


@st.composite
def alarm_rates(draw) -> Alarms:
    low, rate, high = sorted(draw(st.lists(shares, min_size=3, max_size=3)))
    return Alarms(rate, low, high, draw(st.floats(0.001, 0.5)))


costs = st.builds(Cost, positive, positive, st.integers(1, 10**9))


@st.composite
def outsides(draw) -> Outside:
    logged = draw(st.dictionaries(st.sampled_from(["test/mse", "test/ap", "test/f1"]), shares))
    found = {key: value + draw(st.sampled_from([0.0, 1e-7, 0.01])) for key, value in logged.items()}
    return Outside("process", draw(st.none() | st.just("ImportError: no")), logged, found)


evidences = st.builds(
    Evidence,
    is_first=st.booleans(),
    cost=costs,
    outside=outsides(),
    test=st.none() | pairs(),
    calibration=st.none() | pairs(),
    recall=st.none() | pairs(),
    alarms=st.none() | alarm_rates(),
    rival_cost=st.none() | costs,
    incompatible=st.none() | st.just("it needs the column 'x'"),
    foreign=st.none(),
)


def options_of(gate: type) -> st.SearchStrategy:
    """Options of a gate, drawn by their types."""
    drawn = {"figure": st.just("auto"), "environment": st.just("process"), "level": st.just(0.95)}
    numbers = {one.name: st.floats(0, 2) for one in fields(gate) if one.type is float}
    numbers |= {one.name: st.none() | st.floats(0, 2) for one in fields(gate) if type(None) in get_args(one.type)}
    return st.builds(gate, **numbers | {name: made for name, made in drawn.items() if name in gate.__annotations__})


def sections(known: dict[str, type]) -> st.SearchStrategy:
    return st.fixed_dictionaries({}, optional={name: options_of(gate) for name, gate in known.items()})


policies = st.builds(Policy, sections(CHALLENGER), sections(FIRST))


@given(evidences, policies)
def test_it_is_promoted_unless_a_gate_fails_and_every_gate_has_a_reason(evidence, policy):
    decision = decide(evidence, policy)
    assert decision == decide(evidence, policy)
    asked = policy.first if evidence.is_first else policy.challenger
    assert [gate.name for gate in decision.gates] == list(asked)
    assert decision.passed == all(gate.outcome != "failed" for gate in decision.gates)
    assert all(gate.reason for gate in decision.gates)
    assert all(gate.reason in decision.reason for gate in decision.failed)


@given(evidences, policies)
def test_a_gate_that_is_not_asked_for_refuses_nothing(evidence, policy):
    known = policy.first if evidence.is_first else policy.challenger
    for name in known:
        fewer = {gate: options for gate, options in known.items() if gate != name}
        left = decide(evidence, Policy(fewer, fewer))
        assert [gate for gate in decide(evidence, policy).gates if gate.name != name] == list(left.gates)
    assert decide(evidence, Policy({}, {})).passed


def passes(evidence: Evidence, policy: Policy) -> set[str]:
    return {gate.name for gate in decide(evidence, policy).gates if gate.outcome != "failed"}


@given(evidences, policies, st.floats(0, 0.5))
def test_a_better_model_passes_whatever_a_worse_one_passes(evidence, policy, more):
    def better(paired: Paired | None) -> Paired | None:
        if paired is None:
            return None
        value = paired.value + more if paired.rising else paired.value - more
        return replace(paired, value=value, low=paired.low + more, high=paired.high + more)

    improved = replace(
        evidence,
        test=better(evidence.test),
        calibration=better(evidence.calibration),
        recall=better(evidence.recall),
        alarms=evidence.alarms and replace(evidence.alarms, low=evidence.alarms.low / (1 + more)),
        cost=Cost(evidence.cost.one_row_ms / (1 + more), evidence.cost.rows_per_second * (1 + more), 1),
        incompatible=None,
    )
    assert passes(evidence, policy) <= passes(improved, policy)


@given(evidences, policies, st.floats(0, 2))
def test_a_looser_policy_passes_whatever_a_stricter_one_passes(evidence, policy, more):
    def looser(options):
        names = {one.name for one in fields(options)}
        wider = {name: getattr(options, name) + more for name in names & {"margin", "excess", "tolerance"}}
        raised = ("slowdown", "growth", "one_row_ms", "megabytes")
        wider |= {n: getattr(options, n) + more for n in raised if n in names and getattr(options, n) is not None}
        return replace(options, **wider)

    relaxed = Policy(*({name: looser(one) for name, one in gates.items()} for gates in vars(policy).values()))
    assert passes(evidence, policy) <= passes(evidence, relaxed)


@given(evidences, policies)
def test_other_data_refuse_alone(evidence, policy):
    (gate,) = decide(replace(evidence, foreign="other test rows"), policy).gates
    assert (gate.name, gate.outcome, gate.reason) == ("data", "failed", "other test rows")


SOUND = Evidence(
    is_first=False,
    cost=Cost(2.0, 500.0, 2_000_000),
    rival_cost=Cost(1.0, 1000.0, 1_000_000),
    outside=Outside("process", None, {"test/ap": 0.9}, {"test/ap": 0.9}),
    test=Paired("ap", 0.9, 0.9, -0.01, 0.02),
    calibration=Paired("ap", 0.8, 0.8, -0.01, 0.01),
    recall=Paired("recall", 0.7, 0.7, -0.05, 0.05),
    alarms=Alarms(0.02, 0.009, 0.03, 0.01),
)
FAILS = {
    "shown to be worse": ({"test": Paired("ap", 0.89, 0.9, -0.02, -0.001)}, "test", "it is worse"),
    "perhaps much worse": ({"test": Paired("ap", 0.89, 0.9, -0.046, 0.01)}, "test", "worse by more than 0.045"),
    "not to be told": ({"test": Paired("ap", 0.9, 0.9, float("nan"), float("nan"))}, "test", "may be worse"),
    "greater error": ({"test": Paired("MSE", 1.2, 1.0, -0.3, -0.1, rising=False)}, "test", "gain -0.2"),
    "calibration": ({"calibration": Paired("ap", 0.7, 0.8, -0.11, -0.09)}, "calibration", "it is worse"),
    "recall": ({"recall": Paired("recall", 0.6, 0.7, -0.11, 0.05)}, "recall", "worse by more than 0.07"),
    "alarms": ({"alarms": Alarms(0.03, 0.011, 0.05, 0.01)}, "false_alarms", "3.000% of normal test rows alarm"),
    "slow": ({"cost": Cost(3.1, 500.0, 1)}, "latency", "the budget is 3 ms a row"),
    "slow in batches": ({"cost": Cost(1.0, 333.0, 1)}, "latency", "the budget is 333 rows/s"),
    "large": ({"cost": Cost(1.0, 500.0, 3_100_000)}, "size", "the budget is 3 MB"),
    "schema": ({"incompatible": "it needs the column 'x'"}, "schema", "needs the column 'x'"),
    "does not load": ({"outside": Outside("uv", "ImportError: no")}, "loads", "in a new uv: ImportError: no"),
    "other figures": (
        {"outside": Outside("process", None, {"test/ap": 0.9}, {"test/ap": 0.902})}, "reproduces", "(test/ap)",
    ),
    "no figures": ({"outside": Outside("process")}, "reproduces", "no figure that could be compared"),
}  # fmt: skip


def test_the_shipped_policy_passes_what_is_sound():
    decision = decide(SOUND, read_policy())
    assert [gate.outcome for gate in decision.gates] == ["passed"] * 9
    assert decision.reason == "All of 9 gates passed."


@pytest.mark.parametrize(("change", "name", "reason"), FAILS.values(), ids=FAILS)
def test_the_shipped_policy_fails(change, name, reason):
    (failed,) = decide(replace(SOUND, **change), read_policy()).failed
    assert failed.name == name
    assert reason in failed.reason


def test_what_needs_labels_is_not_applicable_without_them():
    bare = replace(SOUND, test=Paired("MSE", 1.0, 1.0, 0.0, 0.0, False), calibration=None, recall=None, alarms=None)
    found = {gate.name: gate.outcome for gate in decide(bare, read_policy()).gates}
    assert {name for name, outcome in found.items() if outcome == "not applicable"} == {
        "calibration", "recall", "false_alarms",
    }  # fmt: skip
    assert decide(bare, read_policy()).passed


@pytest.mark.parametrize(
    ("value", "rival", "rising", "outcome"),
    [(0.9, 0.8, True, "passed"), (0.8, 0.8, True, "failed"), (1.0, 1.0, True, "passed"), (0.1, 0.2, False, "passed")],
)
def test_the_first_model_beats_principal_components(value, rival, rising, outcome):
    first = Evidence(is_first=True, test=Paired("figure", value, rival, 0.0, 0.0, rising))
    assert decide(first, read_policy()).gates[0].outcome == outcome


def test_floors_and_budgets_stand_whatever_the_champion_does():
    first = Evidence(is_first=True, recall=Paired("recall", 0.6, 0.6, 0, 0), cost=Cost(2.0, 100.0, 5_000_000))
    strict = {"recall": RecallFloor(floor=0.7), "latency": Latency(one_row_ms=1.0), "size": Size(megabytes=4.0)}
    assert [gate.outcome for gate in decide(first, Policy({}, strict)).gates] == ["failed"] * 3
    never = Policy({}, {"latency": Latency(slowdown=0.0)})
    assert not decide(replace(first, rival_cost=first.cost), never).passed
    loose = {"recall": RecallFloor(floor=0.6), "latency": Latency(rows_per_second=100.0), "size": Size(megabytes=5.0)}
    assert decide(first, Policy({}, loose)).passed


@given(st.floats(1e-6, 1e6), st.floats(0, 0.5))
def test_figures_come_back_within_the_tolerance(logged, share):
    outside = Outside("process", None, {"test/mse": logged}, {"test/mse": logged * (1 + share)})
    strict = Policy({"reproduces": Reproduces(tolerance=0.1)}, {})
    passed = decide(Evidence(is_first=False, outside=outside), strict).passed
    if abs(share - 0.1) > 1e-6:
        assert passed == (share < 0.1)
