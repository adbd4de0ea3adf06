"""Aliases move so that there is always a champion, and one promotion of a name goes on at a time."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from lit_ae.errors import UserError
from pipelines import registry
from pipelines.promoting import lock
from pipelines.promoting.lock import HEARD_TAG, SUFFIX, alone
from pipelines.registry import Standing
from tests.pipelines.helpers import ROOT
from tests.pipelines.promoting import registry_driver as driver

DRIVER = ROOT / "tests" / "pipelines" / "promoting" / "registry_driver.py"
STEPS = {"promotion": ("2", "3", "1"), "first": (None, "3", None), "rollback": ("2", "1", "1")}


class Died(BaseException):
    """Stands for the end of a process: nothing that is in the way of a coronation catches it."""


def dying(client: MlflowClient, step: int) -> MlflowClient:
    """The client, whose process ends right before the change of this number (from 0)."""
    left = step

    def before(method):
        def call(*args):
            nonlocal left
            left -= 1
            if left < 0:
                raise Died
            return method(*args)

        return call

    for change in driver.CHANGES:
        setattr(client, change, before(getattr(client, change)))
    return client


@pytest.mark.parametrize(("champion", "version", "previous"), STEPS.values(), ids=STEPS)
def test_a_death_at_any_step_leaves_a_champion_and_the_next_command_mends_the_rest(champion, version, previous, store):
    finished = Standing(version, None if version == "3" else "3", champion)
    for step in range(7):
        name = f"step{step}"
        driver.make(store, name, champion)
        uri = os.environ["MLFLOW_TRACKING_URI"]
        if step == 6:
            registry.crown(store, name, version)
        else:
            try:
                registry.crown(dying(MlflowClient(uri), step), name, version)
            except Died:
                assert registry.standing(store, name).champion in (champion, version)
        registry.mend(store, name)
        mended = registry.standing(store, name)
        assert mended == (finished if mended.champion == version else Standing(champion, "3", previous))
        assert (mended.champion == version) == (step >= 2)
        assert registry.MOVE_TAG not in store.get_registered_model(name).tags


def test_the_second_of_two_is_told_and_the_lock_is_given_back(store):
    with alone(store, "digits") as held:
        held.require()
        with pytest.raises(UserError, match=r"A promotion of 'digits' is under way \(.* on .*, process \d+\)"):
            alone(store, "digits", unlock=True).__enter__()
        with alone(store, "letters"):
            pass
    assert store.search_registered_models() == []
    with alone(store, "digits"):
        pass


def test_a_lock_that_a_dead_promotion_left_is_taken_over_when_asked(store):
    lost = alone(store, "digits")
    dead = lost.__enter__()
    dead._ended.set()
    store.set_registered_model_tag("digits" + SUFFIX, HEARD_TAG, str(time.time() - 100))
    with pytest.raises(UserError, match=r"was heard of 100 s ago for the last time .* with --unlock\."):
        alone(store, "digits").__enter__()
    with alone(store, "digits", unlock=True) as held:
        held.require()
        with pytest.raises(UserError, match="Another promotion has taken over since: nothing was changed"):
            dead.require()
        dead.release()
        held.require()
    assert store.search_registered_models() == []


def test_who_takes_the_name_between_two_steps_of_another_clears_away_what_that_one_left(store, monkeypatch):
    lost = alone(store, "digits")
    lost.__enter__()._ended.set()
    store.set_registered_model_tag("digits" + SUFFIX, HEARD_TAG, str(time.time() - 100))
    store.create_registered_model(f"digits{SUFFIX}.notes")
    rename, quicker = store.rename_registered_model, alone(MlflowClient(), "digits")

    def renamed(*names: str) -> None:
        rename(*names)
        quicker.__enter__().require()

    monkeypatch.setattr(store, "rename_registered_model", renamed)
    with pytest.raises(UserError, match="Another promotion of 'digits' was quicker"):
        alone(store, "digits", unlock=True).__enter__()
    assert len(store.search_registered_models()) == 3
    quicker.__exit__(None, None, None)
    assert [model.name for model in store.search_registered_models()] == [f"digits{SUFFIX}.notes"]


def test_a_lock_without_tags_is_read_again_for_it_is_being_renamed(store, monkeypatch):
    with alone(store, "digits"):
        read, reads = store.get_registered_model, []

        def torn(name: str):
            found = read(name)
            reads.append(name)
            return SimpleNamespace(tags={}) if len(reads) == 1 else found

        monkeypatch.setattr(store, "get_registered_model", torn)
        with pytest.raises(UserError, match="A promotion of 'digits' is under way"):
            alone(store, "digits").__enter__()
        assert len(reads) == 2


def test_a_registered_model_that_only_has_the_name_of_a_lock_is_said(store):
    store.create_registered_model("digits" + SUFFIX)
    with pytest.raises(UserError, match="has the name of a promotion's lock and is none: delete it"):
        alone(store, "digits").__enter__()


def test_a_holder_gives_signs_of_life(store, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    with alone(store, "digits"):
        first = float(store.get_registered_model("digits" + SUFFIX).tags[HEARD_TAG])
        deadline = time.monotonic() + 10
        while float(store.get_registered_model("digits" + SUFFIX).tags[HEARD_TAG]) == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_what_is_not_there_is_named_with_the_nearest(store):
    driver.make(store, "digits", "2")
    wrong = {
        lambda: registry.standing(store, "digit"): "There is no registered model 'digit' in .* did you mean digits?",
        lambda: registry.version_of(store, "digits", "9"): "'digits' has no version 9: it has 3, 2, 1.",
        lambda: registry.version_of(store, "digits", "champoin"): "no alias 'champoin': did you mean champion?",
        lambda: registry.version_of(store, "digits", "x"): "has no alias 'x': it has challenger, champion, previous.",
        lambda: registry.register(store, "digits", "0" * 32): "There is no run '000",
        lambda: registry.check_name("a/b"): "'a/b' is no name of a registered model",
    }
    for call, sentence in wrong.items():
        with pytest.raises(UserError, match=sentence):
            call()
    run = store.create_run(store.create_experiment("bare")).info.run_id
    with pytest.raises(UserError, match=rf"Run {run} has no model \(its status is RUNNING\)"):
        registry.register(store, "letters", run)
    assert not registry.is_registered(store, "letters")


def told(way: str, uri: str) -> list:
    """What the processes of the driver have said, in order."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run([sys.executable, str(DRIVER), way, uri], env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=["sqlite", "postgresql", "server"])
def address(request, tmp_path) -> str:
    """The address of an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").replace("postgresql://", "postgresql+pg8000://")
    return request.getfixturevalue("server").uri


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_at_each_step(address):
    *_, stories = told("killed", address)
    assert [one["step"] for one in stories] == list(range(6))
    for one in stories:
        crowned = one["step"] >= 2
        assert one["after"][0] == ("3" if crowned else "2")
        assert one["mended"] == (["3", None, "2"] if crowned else ["2", "3", "1"])
        assert one["tags"] == {}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_of_several_processes_one_wins(address):
    _, *said = told("raced", address)
    four, dead, aged, three, left = said[:4], said[4], said[6], said[7:10], said[10]
    assert sorted(one == "won" for one in four) == [False] * 3 + [True]
    assert all("is under way" in one for one in four if one != "won")
    assert "is under way" in dead
    assert "give the command again with --unlock" in aged
    assert three.count("won") == 1
    late = ("taken the lock over", "is under way", "was quicker", "has just ended: give the command again")
    assert all(any(said in one for said in late) for one in three if one != "won")
    assert left == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_there_is_a_champion_at_every_moment(address):
    assert ["1", "2"] in told("watched", address)
