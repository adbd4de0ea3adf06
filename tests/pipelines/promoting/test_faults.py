"""A server that is down, slow, broken or locked is one sentence and exit code 2, and nothing is half done."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipelines import evaluate, score, store
from tests.pipelines.conftest import Answer

LOCKED = "wants a password, or refuses yours: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
WAYS = {
    "password": (401, LOCKED),
    "forbidden": (403, "ask its admin for the permission, or log in as another user."),
    "broken": (500, "answers HTTP 500"),
    "overloaded": (503, "answers HTTP 503"),
    "no MLflow": (200, "does not answer as MLflow does"),
    "slow": (None, "does not answer: start it, or set MLFLOW_TRACKING_URI to another."),
}


class Troubled(ThreadingHTTPServer):
    """Answers a question for experiments as MLflow does, unless it is troubled ``from_start``, and nothing else.

    Args:
        status: of its answers; None for answers that take 3 s.
        from_start: whether it is troubled when it is asked for experiments too.
    """

    daemon_threads = True

    def __init__(self, status: int | None, from_start: bool):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.from_start = status, from_start
        self.changes: list[str] = []
        self.uri = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One question to a :class:`Troubled` server."""

    server: Troubled

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("experiments/search") and not self.server.from_start:
            return self._say(200, json.dumps({"experiments": []}))
        if not self.path.endswith("search"):
            self.server.changes.append(self.path)
        return self._answer()

    def _answer(self) -> None:
        if self.server.status is None:
            time.sleep(3)
        self._say(self.server.status or 200, "<html>a page</html>")

    def _say(self, status: int, text: str) -> None:
        with suppress(BrokenPipeError):  # whoever asked has lost patience
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def troubled(monkeypatch) -> Iterator[Callable[[int | None, bool], Troubled]]:
    """Starts a troubled server as the tracking server, with little patience for it."""
    started: list[Troubled] = []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(store, "ANSWER_WITHIN", 1.5)

    def start(status: int | None, from_start: bool) -> Troubled:
        started.append(Troubled(status, from_start))
        threading.Thread(target=started[-1].serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", started[-1].uri)
        return started[-1]

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


def assert_is_told(answer: Answer, sentence: str, uri: str) -> None:
    """One line that names the server."""
    assert answer.code == 2
    assert answer.err.startswith("lit-ae: ")
    assert uri in answer.err
    assert answer.err.count("\n") == 1, answer.err
    assert sentence in answer.err


@pytest.mark.parametrize("from_start", [True, False], ids=["from the start", "later"])
@pytest.mark.parametrize(("status", "sentence"), WAYS.values(), ids=WAYS)
def test_a_troubled_server_is_named(status, sentence, from_start, troubled, put_up, workspace):
    server = troubled(status, from_start)
    assert_is_told(put_up("digits"), sentence, server.uri)
    assert_is_told(put_up("digits", "--run", "0" * 32), sentence, server.uri)
    assert all(path.endswith("registered-models/create") for path in server.changes)
    assert list(workspace.glob("outputs/*")) == []


def test_a_server_that_is_down_is_named(put_up, monkeypatch, workspace):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert_is_told(put_up("digits", "--rollback"), "does not answer: start it", uri)


@pytest.mark.parametrize("status", [401, 500, None])
@pytest.mark.parametrize("command", [evaluate.main, score.main], ids=["evaluate", "score"])
def test_models_of_a_troubled_server_are_not_said_to_be_missing(command, status, troubled, workspace, capsys):
    server = troubled(status, False)
    (workspace / "rows.csv").write_text("a\n1\n")
    words = ["rows.csv", "answers.csv"] if command is score.main else ["--data", "Digits"]
    with pytest.raises(SystemExit) as end:
        command(["models:/digits@champion", *words])
    sentence = next(told for code, told in WAYS.values() if code == status)
    assert_is_told(Answer(end.value.code, *capsys.readouterr()), sentence, server.uri)
    assert not (workspace / "answers.csv").exists()
