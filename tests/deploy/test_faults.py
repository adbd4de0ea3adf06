"""Without the right password, or with the server away, every command says one sentence, and ends with exit code 2."""

import importlib
import os
from collections.abc import Callable

import pytest
import yaml

from tests.deploy.conftest import SENSORS, STUDY, Production
from tests.pipelines.conftest import Answer
from tests.postgresql import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
COMMANDS = {
    "train": ("--config", "sensors.yaml"),
    "tune": ("--study", "study.yaml"),
    "evaluate": ("models:/pumps@champion", "--data", "Sensors"),
    "compare": ("models:/pumps@champion", "models:/pumps@challenger"),
    "promote": ("pumps",),
    "serve": ("models:/pumps@champion", "--port", "0"),
    "score": ("models:/pumps@champion", "rows.csv", "answers.csv"),
    "monitor": ("models:/pumps@champion", "--input", "rows.csv"),
}


@pytest.fixture
def told(workspace, capsys) -> Callable[..., Answer]:
    """What a command says in this process, in a folder that holds what it names."""
    for name, content in (("sensors", SENSORS), ("study", STUDY)):
        (workspace / f"{name}.yaml").write_text(yaml.safe_dump(content))
    (workspace / "rows.csv").write_text("sensor_00\n0.5\n")

    def run(command: str) -> Answer:
        capsys.readouterr()
        module = importlib.import_module(f"pipelines.{command}")
        main = getattr(module, "main", None) or (lambda argv: module.run(module.train, argv))
        try:
            code = main(list(COMMANDS[command]))
        except SystemExit as end:
            code = end.code
        return Answer(code, *capsys.readouterr())

    return run


def is_one_sentence(answer: Answer, *parts: str) -> bool:
    text = answer.err
    return answer.code == 2 and text.startswith("lit-ae: ") and text.count("\n") == 1 and all(p in text for p in parts)


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_password(command, production, told, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-wrong-password")
    answer = told(command)
    assert is_one_sentence(answer, production.uri, "wants a password, or refuses yours"), answer
    assert "a-wrong-password" not in answer.out + answer.err


@pytest.mark.parametrize("command", COMMANDS)
def test_password_in_the_address_is_not_told(command, production: Production, told, monkeypatch) -> None:
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "another")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", production.uri.replace("://", "://trainer:a-wr%40ng-one@"))
    answer = told(command)
    assert is_one_sentence(answer, production.uri, "wants a password, or refuses yours"), answer
    assert "ng-one" not in answer.out + answer.err
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "a-wr@ng-one"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_server(command, told, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    answer = told(command)
    assert is_one_sentence(answer, "does not answer: start it, or set MLFLOW_TRACKING_URI to another"), answer


def test_wrong_password_of_the_studies(production: Production, told, monkeypatch) -> None:
    storage = production.storage.replace(production.words["studies"], "a-wrong-password")
    monkeypatch.setenv("LIT_AE_STORAGE", storage)
    answer = told("tune")
    assert is_one_sentence(answer, "The storage postgresql://studies@127.0.0.1", "password authentication"), answer
    assert "a-wrong-password" not in answer.err
