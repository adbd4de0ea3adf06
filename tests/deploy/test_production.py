"""The life of a model against a tracking server with users on PostgreSQL, from machines that share nothing else."""

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run

from tests.deploy.conftest import wait_for_health
from tests.pipelines.helpers import history, wait_for
from tests.postgresql import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ROWS = [{f"sensor_{number:02d}": value for number in range(50)} for value in (0.0, 9.0)]


def experiments(client: MlflowClient) -> list[str]:
    return [one.experiment_id for one in client.search_experiments()]


def run_of(told) -> str:
    """The id of the run that a training has told of."""
    return re.search(r"runs:/(\w{32})/model", told.out)[1]


@pytest.fixture(scope="module")
def trained(_production) -> list[str]:
    """The ids of two runs; the second training has user and password in the server's address."""
    first = _production.run("trainer", "pipelines.train", "--config", "sensors.yaml")
    assert first.code == 0, first.err
    password = _production.words["trainer"]
    uri = _production.uri.replace("://", f"://trainer:{password}@")
    elsewhere = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_USERNAME": "", "MLFLOW_TRACKING_PASSWORD": ""}
    second = _production.run(
        "trainer", "pipelines.train", "--config", "sensors.yaml", "--seed_everything", 1, **elsewhere
    )
    assert second.code == 0, second.err
    return [run_of(first), run_of(second)]


@pytest.fixture(scope="module")
def champion(_production, trained) -> str:
    """The address of the first run's model, promoted."""
    told = _production.run("trainer", "pipelines.promote", "pumps", "--run", trained[0], "--policy", "lenient.yaml")
    assert told.code == 0, told.out + told.err
    return "models:/pumps@champion"


@pytest.fixture(scope="module")
def server(_production, champion) -> Iterator[str]:
    """The address of the scoring server, whose user may read alone; it is told to stop at the end, and ends well."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    words = ("pipelines.serve", champion, "--port", port, "--poll", 0.5, "--log", "served", "--drain", 0)
    process = _production.begin("scorer", *words, LIT_AE_API_KEY=_production.words["api_key"])
    wait_for_health(f"{address}/ready", process, _production.folder / "server.log")
    yield address
    process.send_signal(signal.SIGTERM)
    told = _production.end_of(process)
    assert told.code == 0, told.err


class Response(NamedTuple):
    status: int
    content: dict


def ask(address: str, key: str | None) -> Response:
    """Scores two rows."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"{address}/score", json.dumps(ROWS).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Response(response.status, json.load(response))
    except urllib.error.HTTPError as refused:
        return Response(refused.code, json.load(refused))


def test_trainings_leave_whole_runs_at_the_server(production, trained) -> None:
    client = MlflowClient()
    for run_id in trained:
        run = client.get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.data.metrics["test/ap"] > 0
        assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
        assert [step for step, _ in history(client, run_id, "train/loss")] == [0, 1]
        assert {file.path for file in client.list_artifacts(run_id)} >= {"config.yaml", "checkpoints", "versions.txt"}
        assert len(run.outputs.model_outputs) == 1


def test_study_is_kept_in_a_database_of_its_own(production) -> None:
    short = ("--trials", 2, "--final_seeds", 0, "--trainer.max_epochs", 1)
    told = production.run(
        "trainer", "pipelines.tune", "--study", "study.yaml", *short, LIT_AE_STORAGE=production.storage
    )
    assert told.code == 0, told.out + told.err
    assert "2 COMPLETE." in told.out
    client = MlflowClient()
    trials = client.search_runs(experiments(client), "tags.`lit_ae.study` = 'study' AND attributes.status = 'FINISHED'")
    assert len(trials) == 3  # the study's own run beside the trials
    worked = (production.folder / "trainer" / "outputs" / "studies" / "study" / "worker_0.log").read_text()
    assert production.words["studies"] not in worked


def test_comparison_is_made_from_the_servers_models_alone(production, trained) -> None:
    brief = ("--resamples", 200, "--turns", 1)
    told = production.run("trainer", "pipelines.compare", *trained, *brief, "--output_dir", "empty")
    assert told.code == 0, told.err
    assert "Comparison of 2 models on Sensors" in told.out
    (found,) = re.findall(r"^Run +(\w{32})$", told.out, re.MULTILINE)
    assert MlflowClient().get_run(found).info.status == "FINISHED"


def test_champion_is_marked_in_the_registry(production, trained, champion) -> None:
    version = MlflowClient().get_model_version_by_alias("pumps", "champion")
    assert version.run_id == trained[0]
    assert MlflowClient().get_registered_model("pumps").aliases == {"champion": version.version}


def test_server_answers_whoever_has_the_key(production, server) -> None:
    answer = ask(server, production.words["api_key"])
    assert answer.status == 200, answer.content
    assert [row["verdict"] for row in answer.content["rows"]] == ["normal", "anomaly"]
    assert [ask(server, key).status for key in (None, "another")] == [401, 401]


def test_rows_of_a_file_get_the_servers_answers(production, champion, server) -> None:
    pd.DataFrame(ROWS).to_csv(production.folder / "scorer" / "rows.csv", index=False)
    told = production.run("scorer", "pipelines.score", champion, "rows.csv", "answers.csv")
    assert told.code == 0, told.err
    answers = pd.read_csv(production.folder / "scorer" / "answers.csv")
    assert answers["verdict"].tolist() == ["normal", "anomaly"]
    answered = [row["score"] for row in ask(server, production.words["api_key"]).content["rows"]]
    assert answers["score"].tolist() == pytest.approx(answered, rel=1e-4)


def test_server_takes_the_next_champion(production, trained, champion, server) -> None:
    told = production.run("trainer", "pipelines.promote", "pumps", "--run", trained[1], "--policy", "lenient.yaml")
    assert told.code == 0, told.out + told.err

    def version() -> str:
        with urllib.request.urlopen(f"{server}/version", timeout=10) as response:
            return response.read().decode()

    assert wait_for(lambda: '"2"' in version(), 60), version()
    back = production.run("trainer", "pipelines.promote", "pumps", "--rollback")
    assert back.code == 0, back.err
    assert wait_for(lambda: '"1"' in version(), 60), version()


def test_whoever_may_only_read_is_told_so(production, trained, champion) -> None:
    training = production.run("scorer", "pipelines.train", "--config", "sensors.yaml")
    promotion = production.run("scorer", "pipelines.promote", "pumps", "--run", trained[1], "--policy", "lenient.yaml")
    for told in (training, promotion):
        assert told.code == 2, told.err
        assert re.fullmatch(r"lit-ae: The user 'scorer' may not do this at \S+: .*\n", told.err), told.err


def test_server_that_goes_away_in_a_training_is_caught_up_with(production, trained) -> None:
    long = ("--trainer.max_epochs", 60, "--tracking.run_name", "outage", "--data.batch_size", 20)
    training = production.begin("trainer", "pipelines.train", "--config", "sensors.yaml", *long)
    client = MlflowClient()

    def begun() -> Run | None:
        found = client.search_runs(experiments(client), "attributes.run_name = 'outage' AND metrics.`train/loss` > 0")
        return found[0] if found else None

    run = wait_for(begun, 180)
    assert run
    production.stop()
    told = production.end_of(training)
    production.start()
    assert told.code == 0, told.err
    assert "Traceback" not in told.err
    assert f"python -m pipelines.sync {run.info.run_id}" in told.err
    sent = production.run("trainer", "pipelines.sync", run.info.run_id)
    assert sent.code == 0, sent.err
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    assert [step for step, _ in history(client, run.info.run_id, "train/loss")] == list(range(60))


def test_no_secret_is_told_or_kept_anywhere(production, trained, champion, server, tmp_path) -> None:
    client = MlflowClient()
    runs = client.search_runs(experiments(client), max_results=1000)
    assert len(runs) >= 2
    for run in runs:
        download_artifacts(run_id=run.info.run_id, dst_path=str(tmp_path / run.info.run_id))
    kept = [path for folder in (tmp_path, production.folder) for path in folder.rglob("*") if path.is_file()]
    texts = {str(path): path.read_bytes() for path in kept}
    texts["said"] = production.said.encode()
    texts["runs"] = json.dumps([run.to_dictionary() for run in runs]).encode()
    texts["models"] = repr([dict(one) for one in client.search_registered_models()]).encode()
    words = {owner: word.encode() for owner, word in production.words.items()}
    assert [(owner, place) for owner, word in words.items() for place, text in texts.items() if word in text] == []
