"""Another version takes the old one's place without a request noticing; one that can't does not."""

import json
import logging
import shutil
import threading
import time

import mlflow
import pytest

from lit_ae.errors import UserError
from pipelines.models import INSIDE
from pipelines.serving import keeper, served
from tests.pipelines.serving.test_guard import figures_of

CHAMPION = "models:/plant@champion"


@pytest.fixture
def answers(plants, rows) -> dict[str, list[float]]:
    """The scores of each version."""
    models = {"1": plants.first, "2": plants.second}
    return {v: mlflow.pyfunc.load_model(str(model)).predict(rows)["score"].tolist() for v, model in models.items()}


def asked(running, rows) -> tuple[str, list[float]]:
    answer = running.client.post("/score", json=rows.to_dict("records"))
    assert answer.status_code == 200, answer.text
    return answer.json()["model_version"], [row["score"] for row in answer.json()["rows"]]


def test_the_alias_is_followed_on_request(running, registered, rows, answers):
    server = running(model=CHAMPION)
    assert asked(server, rows) == ("1", answers["1"])
    assert server.client.post("/reload").json() == {"model_version": "1", "was": "1"}
    registered.set_registered_model_alias("plant", "champion", "2")
    assert asked(server, rows)[0] == "1"
    assert server.client.post("/reload").json() == {"model_version": "2", "was": "1"}
    assert asked(server, rows) == ("2", answers["2"])
    about = server.client.get("/version").json()
    assert (about["model"], about["model_version"], about["alias"]) == ("plant", "2", "champion")
    found = figures_of(server)
    assert found['lit_ae_reloads_total{outcome="taken"}'] == 1
    assert found['lit_ae_model_info{name="plant",version="2"}'] == 1
    assert answers["1"] != answers["2"]


def test_the_alias_is_watched(running, registered, rows, answers):
    server = running(model=CHAMPION)
    server.desk.keeper.watch(0.05)
    registered.set_registered_model_alias("plant", "champion", "2")
    deadline = time.monotonic() + 20
    while asked(server, rows)[0] == "1" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert asked(server, rows) == ("2", answers["2"])


def test_a_version_of_other_columns_is_refused_and_the_old_one_stays(running, registered, rows, answers, caplog):
    server = running(model=CHAMPION)
    registered.set_registered_model_alias("plant", "champion", "3")
    for _ in range(2):
        refused = server.client.post("/reload")
        assert (refused.status_code, "has other rows" in refused.json()["error"]) == (409, True)
    assert asked(server, rows) == ("1", answers["1"])
    ready = server.client.get("/ready")
    assert (ready.status_code, ready.json()["model_version"]) == (200, "1")
    assert ready.json()["refused"]["model_version"] == "3"
    found = figures_of(server)
    assert (found['lit_ae_reloads_total{outcome="refused"}'], found["lit_ae_version_refused"]) == (1, 1)
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    registered.set_registered_model_alias("plant", "champion", "1")
    assert server.client.post("/reload").status_code == 200
    assert server.client.get("/ready").json()["refused"] is None
    assert figures_of(server)["lit_ae_version_refused"] == 0


def test_a_damaged_version_is_refused_until_it_is_whole(running, registered, rows, answers, plants, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(plants.second, broken)
    weights = broken / INSIDE / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4] + b"\0\0\0\1")
    version = registered.create_model_version("plant", str(broken)).version
    server = running(model=CHAMPION)
    registered.set_registered_model_alias("plant", "champion", version)
    refused = server.client.post("/reload")
    assert (refused.status_code, "weights.safetensors" in refused.json()["error"]) == (409, True)
    assert asked(server, rows) == ("1", answers["1"])
    assert figures_of(server)['lit_ae_reloads_total{outcome="failed"}'] == 1
    weights.write_bytes(whole)
    assert server.client.post("/reload").json() == {"model_version": str(version), "was": "1"}
    assert asked(server, rows)[1] == answers["2"]


def test_a_registry_that_is_away_changes_nothing(running, registered, rows, answers, monkeypatch, caplog):
    server = running(model=CHAMPION)

    def away(_):
        raise UserError("The tracking server is away.")

    with monkeypatch.context() as outage:
        outage.setattr(keeper, "connect", away)
        assert server.client.post("/reload").status_code == 409
        assert server.client.post("/reload").status_code == 409
        assert asked(server, rows) == ("1", answers["1"])
        assert figures_of(server)["lit_ae_registry_up"] == 0
    assert server.client.post("/reload").status_code == 200
    assert figures_of(server)["lit_ae_registry_up"] == 1
    said = [record.getMessage() for record in caplog.records if "alias" in record.getMessage()]
    assert len(said) == 1


def test_a_request_that_began_with_the_old_version_ends_with_it(running, registered, rows, answers, monkeypatch):
    server = running(model=CHAMPION)
    reading, go_on = threading.Event(), threading.Event()
    scorer, at_once = server.desk.keeper.current.scorer, server.desk.keeper.current.scorer.read

    def slowly(*arguments):
        reading.set()
        go_on.wait(10)
        return at_once(*arguments)

    monkeypatch.setattr(scorer, "read", slowly)
    found: list = []
    client = threading.Thread(target=lambda: found.append(asked(server, rows)))
    client.start()
    assert reading.wait(10)
    registered.set_registered_model_alias("plant", "champion", "2")
    assert server.client.post("/reload").json()["model_version"] == "2"
    go_on.set()
    client.join()
    assert found == [("1", answers["1"])]
    assert asked(server, rows) == ("2", answers["2"])


def test_what_is_fetched_is_removed_again(running, registered, monkeypatch, tmp_path):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(served.tempfile, "tempdir", str(tmp_path / "scratch"))
    server = running(model=CHAMPION)
    registered.set_registered_model_alias("plant", "champion", "2")
    server.client.post("/reload")
    assert list((tmp_path / "scratch").iterdir()) == []


def hammer(server, rows, flip, flips: int, clients: int = 4) -> list[tuple[str, list[float]]]:
    """Every answer that clients get who ask without a pause while versions change."""
    ended, found, body = threading.Event(), [], json.dumps(rows.to_dict("records"))

    def ask_on() -> None:
        while not ended.is_set():
            answer = server.client.post("/score", content=body)
            found.append((answer.status_code, answer.json()))

    threads = [threading.Thread(target=ask_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for number in range(flips):
        flip(number)
    ended.set()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("flips", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_no_request_is_lost_over_reloads_under_load(flips, running, registered, rows, answers):
    server = running(model=CHAMPION)

    def flip(number: int) -> None:
        version = "21"[number % 2]
        registered.set_registered_model_alias("plant", "champion", version)
        assert server.client.post("/reload").json()["model_version"] == version

    found = hammer(server, rows, flip, flips)
    assert {status for status, _ in found} == {200}
    assert {said["model_version"] for _, said in found} == {"1", "2"}
    assert all([row["score"] for row in said["rows"]] == answers[said["model_version"]] for _, said in found)
    assert figures_of(server)['lit_ae_reloads_total{outcome="taken"}'] == flips
    assert len(found) > flips
