"""A policy is a YAML file of which every word is checked."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from lit_ae.errors import UserError
from pipelines.promoting.policy import DEFAULT, POLICIES, SECTIONS, Policy, policy_names, read_policy, with_environment
from tests.pipelines.helpers import ROOT

WRONG = {
    "section": ({"chalenger": {}}, "unknown section 'chalenger': did you mean challenger?"),
    "gate": ({"challenger": {"latncy": {}}}, "challenger: unknown gate 'latncy': did you mean latency?"),
    "gate of the other": ({"first": {"calibration": {}}}, "first: unknown gate 'calibration'"),
    "figure": ({"challenger": {"test": {"figure": "auruc"}}}, "unknown figure 'auruc': did you mean auroc?"),
    "option": ({"challenger": {"size": {"growht": 2}}}, "size: unknown option 'growht': did you mean growth?"),
    "environment": ({"first": {"loads": {"environment": "virtualen"}}}, "did you mean virtualenv?"),
    "text": ({"challenger": {"size": {"growth": "big"}}}, "growth can't be 'big': it takes a number."),
    "truth": ({"challenger": {"size": {"growth": True}}}, "growth can't be True"),
    "infinite": ({"challenger": {"size": {"growth": float("inf")}}}, "growth can't be inf"),
    "nothing": ({"challenger": {"test": {"margin": None}}}, "margin can't be None"),
    "part of a resample": ({"challenger": {"test": {"resamples": 10.5}}}, "it takes a whole number"),
    "level": ({"challenger": {"test": {"level": 95}}}, "level is 95, but it must lie between 0.5 and 0.9999"),
    "negative": ({"challenger": {"test": {"margin": -1}}}, "margin is -1, but it must lie between 0 and inf"),
    "no options": ({"challenger": {"size": 3}}, "size must hold options, and holds 3"),
    "no gates": ({"challenger": ["size"]}, "challenger must hold gates"),
}


@pytest.mark.parametrize(("content", "sentence"), WRONG.values(), ids=WRONG)
def test_mistakes_are_named_with_the_nearest_right_word(content, sentence, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError) as refusal:
        read_policy(str(file))
    assert sentence in str(refusal.value)
    assert str(file) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_policy_that_is_not_there_is_named():
    with pytest.raises(UserError, match="Unknown policy 'defalt': did you mean default"):
        read_policy("defalt")
    with pytest.raises(UserError, match=r"There is no file nowhere.yaml"):
        read_policy("nowhere.yaml")


def test_what_is_shipped_is_read_and_is_what_the_classes_say():
    assert DEFAULT in policy_names()
    assert {name: read_policy(name) for name in policy_names()}[DEFAULT] == Policy()


def test_a_gate_that_is_left_out_is_not_asked_for(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("challenger:\n  size: {growth: 2}\n  schema:\n")
    policy = read_policy(str(file))
    assert list(policy.challenger) == ["size", "schema"]
    assert policy.challenger["size"].growth == 2
    assert dict(policy.first) == {}


def test_an_environment_is_asked_for_whatever_the_policy_says():
    changed = with_environment(Policy({}, {}), "uv")
    assert changed.challenger["loads"].environment == changed.first["loads"].environment == "uv"


def test_the_page_explains_every_gate_and_option():
    page = (ROOT / "docs" / "promotion.md").read_text()
    for gates in SECTIONS.values():
        for name, gate in gates.items():
            assert f"`{name}`" in page
            assert all(f"`{one.name}`" in page for one in fields(gate)), (name, fields(gate))
    assert Path(POLICIES / f"{DEFAULT}.yaml").is_file()
